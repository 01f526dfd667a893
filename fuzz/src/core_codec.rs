//! Log entries, commands on their way to the leader, outcomes on their way back: whatever is read is
//! written as exactly the bytes that were read.

use leasehold_core::{Batch, decode_commands, decode_outcomes, encode_commands, encode_outcomes};

/// Every document says itself what it is.
pub fn check(bytes: &[u8]) {
    let mut read = 0;
    if let Ok(batch) = Batch::decode(bytes) {
        assert_eq!(batch.encode(), bytes);
        let commands = encode_commands(&batch.commands);
        assert_eq!(decode_commands(&commands).as_ref(), Ok(&batch.commands));
        read += 1;
    }
    if let Ok(commands) = decode_commands(bytes) {
        assert_eq!(encode_commands(&commands), bytes);
        read += 1;
    }
    if let Ok(outcomes) = decode_outcomes(bytes) {
        assert_eq!(encode_outcomes(&outcomes), bytes);
        read += 1;
    }
    assert!(read <= 1, "no bytes are two documents");
}
