//! Requests to the store, checked.

use bytes::Bytes;
use leasehold_types::{BadField, FencingToken, ResourceName};

use crate::lease::{checked_page_size, checked_prefix};
use crate::pb::store::v1 as pb;

/// Longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Most mutations in one write.
pub const MUTATIONS_MAX: usize = 1_000;
/// Most bytes of keys and values in one write.
pub const WRITE_BYTES_MAX: usize = 3 << 20;
/// A page of a list ends once its keys and values have this many bytes.
pub const PAGE_BYTES_MAX: usize = 3 << 20;
/// Longest cluster id, in bytes of UTF-8.
pub const CLUSTER_ID_BYTES_MAX: usize = 256;

/// A checked write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedWrite {
    /// The resource.
    pub resource: ResourceName,
    /// The writer's token.
    pub token: FencingToken,
    /// Number of this write under this token; 0 for a writer that never repeats itself.
    pub sequence: u64,
    /// Applied in order, all or none.
    pub mutations: Vec<CheckedMutation>,
    /// The lease cluster; `None` is not checked.
    pub cluster_id: Option<String>,
}

/// A checked change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedMutation {
    /// The key.
    pub key: String,
    /// The version the key must have; 0: it must not be there.
    pub expected_version: Option<u64>,
    /// What to do.
    pub kind: MutationKind,
}

/// What a mutation does to its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MutationKind {
    /// Sets the value.
    Put(Bytes),
    /// Removes the key.
    Delete,
    /// Adds to the end of the value.
    Append(Bytes),
}

impl TryFrom<pb::WriteRequest> for CheckedWrite {
    type Error = BadField;

    fn try_from(raw: pb::WriteRequest) -> Result<Self, BadField> {
        let pb::WriteRequest { resource, token, sequence, mutations, cluster_id } = raw;
        if mutations.len() > MUTATIONS_MAX {
            let got = format!("{} mutations", mutations.len());
            return Err(BadField::new("mutations", got, "at most 1,000"));
        }
        let mutations = mutations
            .into_iter()
            .enumerate()
            .map(|(at, raw)| {
                CheckedMutation::try_from(raw)
                    .map_err(|bad| bad.inside(&format!("mutations[{at}]")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let bytes: usize = mutations.iter().map(CheckedMutation::bytes).sum();
        if bytes > WRITE_BYTES_MAX {
            let got = format!("{bytes} bytes of keys and values");
            return Err(BadField::new("mutations", got, "at most 3 MiB together"));
        }
        Ok(Self {
            resource: ResourceName::new(&resource)?,
            token: FencingToken::from_wire(token)?,
            sequence,
            mutations,
            cluster_id: checked_cluster_id(cluster_id)?,
        })
    }
}

impl CheckedMutation {
    fn bytes(&self) -> usize {
        let value = match &self.kind {
            MutationKind::Put(value) | MutationKind::Append(value) => value.len(),
            MutationKind::Delete => 0,
        };
        self.key.len() + value
    }
}

impl TryFrom<pb::Mutation> for CheckedMutation {
    type Error = BadField;

    fn try_from(raw: pb::Mutation) -> Result<Self, BadField> {
        use pb::mutation::Operation;
        let pb::Mutation { operation, expected_version } = raw;
        let (key, kind) = match operation {
            Some(Operation::Put(pb::Put { key, value })) => {
                (key, MutationKind::Put(checked_value(value)?))
            }
            Some(Operation::Append(pb::Append { key, value })) => {
                (key, MutationKind::Append(checked_value(value)?))
            }
            Some(Operation::Delete(pb::Delete { key })) => (key, MutationKind::Delete),
            None => {
                return Err(BadField::new("operation", "nothing", "put, delete or append"));
            }
        };
        Ok(Self { key: checked_key(key)?, expected_version, kind })
    }
}

fn checked_value(value: Bytes) -> Result<Bytes, BadField> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(BadField::new("value", format!("{} bytes", value.len()), "at most 1 MiB"));
    }
    Ok(value)
}

fn checked_key(key: String) -> Result<String, BadField> {
    const ALLOWED: &str = "1 to 1,024 bytes of UTF-8 without control characters";
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(BadField::new("key", format!("{} bytes", key.len()), ALLOWED));
    }
    if let Some((at, c)) = key.char_indices().find(|(_, c)| c.is_control()) {
        let got = format!("control character U+{:04X} at byte {at}", u32::from(c));
        return Err(BadField::new("key", got, ALLOWED));
    }
    Ok(key)
}

fn checked_cluster_id(cluster_id: String) -> Result<Option<String>, BadField> {
    match cluster_id.len() {
        0 => Ok(None),
        1..=CLUSTER_ID_BYTES_MAX => Ok(Some(cluster_id)),
        bytes => Err(BadField::new(
            "cluster_id",
            format!("{bytes} bytes"),
            "at most 256 bytes, or empty",
        )),
    }
}

/// A checked read of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedStoreGet {
    /// The resource.
    pub resource: ResourceName,
    /// The key.
    pub key: String,
    /// The reader's token: raises the mark before the read.
    pub token: Option<FencingToken>,
    /// The lease cluster; `None` is not checked.
    pub cluster_id: Option<String>,
}

impl TryFrom<pb::GetRequest> for CheckedStoreGet {
    type Error = BadField;

    fn try_from(raw: pb::GetRequest) -> Result<Self, BadField> {
        let pb::GetRequest { resource, key, token, cluster_id } = raw;
        Ok(Self {
            resource: ResourceName::new(&resource)?,
            key: checked_key(key)?,
            token: token.map(FencingToken::from_wire).transpose()?,
            cluster_id: checked_cluster_id(cluster_id)?,
        })
    }
}

/// A checked read of one page of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedStoreList {
    /// The resource.
    pub resource: ResourceName,
    /// Keys start with this.
    pub prefix: String,
    /// Entries per page.
    pub page_size: usize,
    /// The last key of the page before.
    pub after: Option<String>,
    /// The reader's token: raises the mark before the read.
    pub token: Option<FencingToken>,
    /// The lease cluster; `None` is not checked.
    pub cluster_id: Option<String>,
}

impl TryFrom<pb::ListRequest> for CheckedStoreList {
    type Error = BadField;

    fn try_from(raw: pb::ListRequest) -> Result<Self, BadField> {
        let pb::ListRequest { resource, prefix, page_size, page_token, token, cluster_id } = raw;
        let after = match page_token.is_empty() {
            true => None,
            false => Some(checked_key(page_token).map_err(|bad| BadField {
                field: "page_token".into(),
                allowed: "empty, or the next_page_token of the page before".into(),
                ..bad
            })?),
        };
        Ok(Self {
            resource: ResourceName::new(&resource)?,
            prefix: checked_prefix(prefix, KEY_BYTES_MAX)?,
            page_size: checked_page_size(page_size)?,
            after,
            token: token.map(FencingToken::from_wire).transpose()?,
            cluster_id: checked_cluster_id(cluster_id)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: usize) -> pb::Mutation {
        let put = pb::Put { key: key.into(), value: vec![0; value].into() };
        pb::Mutation { operation: Some(pb::mutation::Operation::Put(put)), expected_version: None }
    }

    fn good() -> pb::WriteRequest {
        pb::WriteRequest {
            resource: "r".into(),
            token: 1,
            sequence: 1,
            mutations: vec![put("k", 1)],
            cluster_id: String::new(),
        }
    }

    #[test]
    fn every_bad_field_of_a_write_is_named() {
        assert!(CheckedWrite::try_from(good()).is_ok());
        let with = |mutations| pb::WriteRequest { mutations, ..good() };
        let cases = [
            (pb::WriteRequest { resource: String::new(), ..good() }, "resource"),
            (pb::WriteRequest { token: 0, ..good() }, "token"),
            (pb::WriteRequest { cluster_id: "x".repeat(257), ..good() }, "cluster_id"),
            (with(vec![put("k", 1); 1_001]), "mutations"),
            (with(vec![put("k", 1 << 20); 4]), "mutations"),
            (with(vec![put("k", 1), put("", 1)]), "mutations[1].key"),
            (with(vec![put("a\nb", 1)]), "mutations[0].key"),
            (with(vec![put(&"k".repeat(1_025), 1)]), "mutations[0].key"),
            (with(vec![put("k", (1 << 20) + 1)]), "mutations[0].value"),
            (with(vec![pb::Mutation::default()]), "mutations[0].operation"),
        ];
        for (request, field) in cases {
            let bad = CheckedWrite::try_from(request).expect_err(field);
            assert_eq!(bad.field, field);
        }
    }

    #[test]
    fn the_extremes_of_token_and_sequence_are_allowed() {
        let write = pb::WriteRequest { token: u64::MAX, sequence: u64::MAX, ..good() };
        assert!(CheckedWrite::try_from(write).is_ok());
    }

    #[test]
    fn a_read_with_token_zero_is_refused() {
        let get = pb::GetRequest {
            resource: "r".into(),
            key: "k".into(),
            token: Some(0),
            ..Default::default()
        };
        assert_eq!(CheckedStoreGet::try_from(get).expect_err("zero").field, "token");
    }
}
