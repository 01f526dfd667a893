//! What the database holds, format 1.
//!
//! | table | key | value |
//! |---|---|---|
//! | `numbers` | a name of [`number`] | `u64` |
//! | `names` | a name of [`name`] | text |
//! | `marks` | resource | token, sequence, the remembered answer (see [`crate::answer`]) |
//! | `values` | resource, key | version, token, bytes |
//!
//! `values` sorts by resource, then by the bytes of the key, so a list is one range. Every resource
//! that has a key also has a mark: `marks` alone bounds how many resources there are.

use redb::TableDefinition;

/// The version of this layout. A store of a later one is refused, not guessed at.
pub(crate) const FORMAT: u64 = 1;

/// Token, sequence and remembered answer, as stored.
pub(crate) type MarkRow = (u64, u64, &'static [u8]);

/// Version, token and bytes, as stored.
pub(crate) type ValueRow = (u64, u64, &'static [u8]);

pub(crate) const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
pub(crate) const NAMES: TableDefinition<&str, &str> = TableDefinition::new("names");
pub(crate) const MARKS: TableDefinition<&str, MarkRow> = TableDefinition::new("marks");
pub(crate) const VALUES: TableDefinition<(&str, &str), ValueRow> = TableDefinition::new("values");

/// Keys of the table `numbers`. Absent is 0.
pub(crate) mod number {
    /// [`super::FORMAT`] of the store.
    pub(crate) const FORMAT: &str = "format";
    /// Random, made with the store: the witness says whose it is.
    pub(crate) const STORE_ID: &str = "store_id";
    /// Commits since the store was made: what the witness is compared with.
    pub(crate) const COMMITS: &str = "commits";
    /// Accepted writes since the store was made.
    pub(crate) const REVISION: &str = "revision";
    /// The highest token seen on any resource.
    pub(crate) const HIGHEST_TOKEN: &str = "highest_token";
    /// No token below this is accepted.
    pub(crate) const FLOOR: &str = "floor";
}

/// Keys of the table `names`.
pub(crate) mod name {
    /// The lease cluster the store belongs to, once one told its id.
    pub(crate) const CLUSTER_ID: &str = "cluster_id";
}
