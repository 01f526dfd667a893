//! Durable files: the record stream, atomic replace, the identity file.
//!
//! Everything a node must not forget goes through one small trait, [`Disk`], so that the same code
//! runs on the machine ([`MachineDisk`]) and on a disk that crashes on command ([`fake::FakeDisk`]).
//!
//! Reading order: [`Disk`] is what a disk can do; [`RecordStream`] is the log of everything that
//! happened, in order; [`replace_atomically`] is for whole files that have only a present;
//! [`Identity`] and [`PeerMemory`] are two such files, and keep a node that forgot from voting.
//!
//! What is assumed of the medium: a sync that returned success is durable; a write touches no byte
//! outside the 4 KiB blocks it covers; one thing breaks at a time. What is not assumed: that
//! unsynced writes reach the medium in order, whole, or at all; that what was read back once is
//! durable; that a sync which failed can be repeated (Rebello et al., "Can Applications Recover from
//! fsync Failures?", ATC 2020).
//!
//! Deliberately absent: threads, async, caching, retries, clocks and randomness. One owner calls,
//! the call returns when the bytes are durable.

mod atomic;
mod bytes_le;
mod damage;
mod disk;
mod error;
pub mod fake;
mod identity;
mod machine;
mod manifest;
mod peers;
mod reached;
mod record;
mod recovery;
mod segment;
mod segment_file;
mod start;
mod stream;

pub use atomic::{AtomicWriter, ReadError, read_checked, remove_temporaries, replace_atomically};
pub use damage::{ADVICE, Damage, Harm, OpenError, Proof};
pub use disk::{Disk, DiskFile};
pub use error::{DiskFault, Operation};
pub use identity::{BootId, DiskId, Identity, IdentityError};
pub use machine::{MachineDisk, OpenDiskError};
pub use peers::{AdmitError, Admitted, PeerMemory, PeerRefused};
pub use reached::Reached;
pub use record::{GroupPosition, OwnedRecord, Record, RecordRef};
pub use recovery::TornTail;
pub use start::{Past, STARTS_KEPT, Start};
pub use stream::{AppendError, OpenReport, RecordStream, StreamOptions};
