//! How much a client may send before it is read: the HTTP/2 windows of both daemons.
//!
//! Flow control is what slows a fast client down, so it has to bite before anything else does. Two
//! other things would, if the windows were left as they come:
//!
//! - `h2` allows the unread small DATA frames of a connection a budget, half of the connection's
//!   window: each frame costs what it lacks to 256 bytes. Above that it ends the connection with
//!   `ENHANCE_YOUR_CALM`, and every stream of it. The sums count payload alone (RFC 9113, section
//!   6.9), so a client that keeps to its windows does not see this coming. One stream with a window
//!   of 1 MiB can hold fifty thousand messages; a budget of 512 KiB holds two thousand.
//! - One stream that is not read takes its window out of the connection's. Where the connection's is
//!   not larger by far, it halts all others.
//!
//! So the stream's window is small and the connection's is derived from it, large: it is no bound on
//! memory, which the windows of the streams are.
//!
//! Deliberately absent: windows that adapt to the path. They would move the budget with them.

/// Bytes of one stream that are not read yet: what RFC 9113 starts every stream with. A megabyte takes
/// 17 round trips at most.
pub const STREAM_WINDOW_BYTES: u32 = 65_535;

/// Bytes of one connection that are not read yet: so many that the budget of small frames allows
/// [`STREAMS_FULL`] streams whose windows are full of the smallest messages.
pub const CONNECTION_WINDOW_BYTES: u32 = 2 * STREAMS_FULL * STREAM_OVERHEAD_BYTES;

/// Streams of one connection that may all be full at one moment.
const STREAMS_FULL: u32 = 256;
/// What a full stream takes out of the budget.
const STREAM_OVERHEAD_BYTES: u32 =
    STREAM_WINDOW_BYTES / MESSAGE_BYTES_MIN * (SMALL_FRAME_BYTES - MESSAGE_BYTES_MIN);
/// The smallest message worth sending, a renewal of one token on a session: 5 bytes that gRPC puts in
/// front, 2 of the attempt, 5 of the command.
const MESSAGE_BYTES_MIN: u32 = 12;
/// A frame below this is a small one (`DEFAULT_DATA_FRAME_OVERHEAD_THRESHOLD` of `h2`).
const SMALL_FRAME_BYTES: u32 = 256;

/// RFC 9113, section 6.9.1.
const _: () = assert!(CONNECTION_WINDOW_BYTES < 1 << 31, "larger than a window may be");
