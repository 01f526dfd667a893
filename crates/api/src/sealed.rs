//! How nodes write messages to each other: protobuf, and a CRC-32C of it behind.
//!
//! HTTP/2 and gRPC carry no checksum of their own, and TCP's is sixteen bits. A flipped bit in a batch
//! on its way to a follower is another batch: two nodes apply different commands under one index, and
//! nothing that comes later would notice. So a message between nodes is checked before it is read, and
//! what does not fit is an error of the call, which is asked again.

use std::marker::PhantomData;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

const CHECKSUM_BYTES: usize = 4;

/// A message, and its checksum behind it.
pub fn seal(message: &impl Message) -> Vec<u8> {
    let mut bytes = message.encode_to_vec();
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// The message that was sealed; `None` when these are other bytes.
pub fn unseal<M: Message + Default>(mut sealed: Bytes) -> Option<M> {
    let length = sealed.len().checked_sub(CHECKSUM_BYTES)?;
    let message = sealed.split_to(length);
    (crc32c::crc32c(&message) == sealed.get_u32_le()).then(|| M::decode(message).ok()).flatten()
}

/// The codec of the peer service; generated code names it.
#[derive(Debug)]
pub struct SealedCodec<E, D>(PhantomData<(E, D)>);

impl<E, D> Default for SealedCodec<E, D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<E, D> Codec for SealedCodec<E, D>
where
    E: Message + Send + 'static,
    D: Message + Default + Send + 'static,
{
    type Encode = E;
    type Decode = D;
    type Encoder = Sealer<E>;
    type Decoder = Unsealer<D>;

    fn encoder(&mut self) -> Sealer<E> {
        Sealer(PhantomData)
    }

    fn decoder(&mut self) -> Unsealer<D> {
        Unsealer(PhantomData)
    }
}

/// Writes messages with their checksums.
#[derive(Debug)]
pub struct Sealer<E>(PhantomData<E>);

impl<E: Message> Encoder for Sealer<E> {
    type Item = E;
    type Error = Status;

    fn encode(&mut self, message: E, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&seal(&message));
        Ok(())
    }
}

/// Reads messages that their checksums fit.
#[derive(Debug)]
pub struct Unsealer<D>(PhantomData<D>);

impl<D: Message + Default> Decoder for Unsealer<D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        let sealed = buffer.copy_to_bytes(buffer.remaining());
        let message = unseal(sealed).ok_or_else(|| {
            Status::data_loss("a message between nodes is not what its checksum says")
        })?;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::peer::v1::{AppendRequest, Entry, LogId, entry::Payload};

    fn message() -> AppendRequest {
        let batch = Payload::Batch(Bytes::from_static(b"acquire jobs/nightly"));
        let entry = Entry { log_id: Some(LogId { term: 3, index: 9 }), payload: Some(batch) };
        AppendRequest { entries: vec![entry], ..AppendRequest::default() }
    }

    #[test]
    fn a_sealed_message_is_read_as_it_was_written() {
        assert_eq!(unseal::<AppendRequest>(seal(&message()).into()), Some(message()));
        let empty = AppendRequest::default();
        assert_eq!(unseal::<AppendRequest>(seal(&empty).into()), Some(empty));
    }

    #[test]
    fn any_flipped_bit_of_a_sealed_message_is_noticed() {
        let sealed = seal(&message());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal::<AppendRequest>(flipped.into()), None, "bit {bit}");
        }
    }

    #[test]
    fn a_message_that_was_cut_short_is_noticed() {
        let sealed = seal(&message());
        for length in 0..sealed.len() {
            let short = Bytes::copy_from_slice(&sealed[..length]);
            assert_eq!(unseal::<AppendRequest>(short), None, "{length} bytes");
        }
    }
}
