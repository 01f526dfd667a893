//! Whether a write may be applied, decided for all of its mutations before any of them is.
//!
//! Many requests share one transaction, so a request that fails in the middle must leave nothing of
//! its own behind. Only versions and lengths are followed here, no bytes: a thousand appends to long
//! values cost no memory.

use std::collections::HashMap;

use leasehold_api::{CheckedMutation, MutationKind, VALUE_BYTES_MAX};

use crate::answer::Remark;

/// As much of a stored value as a decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Revision of the write that last changed it.
    pub(crate) version: u64,
    /// Its length in bytes.
    pub(crate) bytes: u64,
}

/// Follows the mutations in order, over what `find` says is stored.
///
/// `revision` is the version that every changed key would get. The outer error is the storage's.
pub(crate) fn check<E>(
    mutations: &[CheckedMutation],
    revision: u64,
    mut find: impl FnMut(&str) -> Result<Option<Standing>, E>,
) -> Result<Result<(), Remark>, E> {
    let mut changed: HashMap<&str, Option<Standing>> = HashMap::new();
    for (at, mutation) in mutations.iter().enumerate() {
        let key = mutation.key.as_str();
        let found = match changed.get(key) {
            Some(&standing) => standing,
            None => find(key)?,
        };
        if let Err(remark) = expect_version(at, mutation, found) {
            return Ok(Err(remark));
        }
        match after(mutation, revision, found) {
            Ok(standing) => changed.insert(key, standing),
            Err(remark) => return Ok(Err(remark)),
        };
    }
    Ok(Ok(()))
}

fn expect_version(
    at: usize,
    mutation: &CheckedMutation,
    found: Option<Standing>,
) -> Result<(), Remark> {
    let actual_version = found.map_or(0, |standing| standing.version);
    match mutation.expected_version {
        Some(expected_version) if expected_version != actual_version => {
            let (mutation, key) = (at as u64, mutation.key.clone());
            Err(Remark::VersionMismatch { mutation, key, expected_version, actual_version })
        }
        Some(_) | None => Ok(()),
    }
}

fn after(
    mutation: &CheckedMutation,
    revision: u64,
    found: Option<Standing>,
) -> Result<Option<Standing>, Remark> {
    let bytes = match &mutation.kind {
        MutationKind::Delete => return Ok(None),
        MutationKind::Put(value) => value.len() as u64,
        MutationKind::Append(value) => value.len() as u64 + found.map_or(0, |s| s.bytes),
    };
    let limit = VALUE_BYTES_MAX as u64;
    if bytes > limit {
        return Err(Remark::ValueTooLarge { key: mutation.key.clone(), bytes, limit });
    }
    Ok(Some(Standing { version: revision, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const REVISION: u64 = 50;

    /// What is stored: `a` at version 10 with 4 bytes, `full` at version 20 with as many as may be.
    fn stored(key: &str) -> Result<Option<Standing>, Infallible> {
        Ok(match key {
            "a" => Some(Standing { version: 10, bytes: 4 }),
            "full" => Some(Standing { version: 20, bytes: VALUE_BYTES_MAX as u64 }),
            _ => None,
        })
    }

    fn put(key: &str) -> CheckedMutation {
        CheckedMutation {
            key: key.into(),
            expected_version: None,
            kind: MutationKind::Put("v".into()),
        }
    }
    fn append(key: &str, bytes: usize) -> CheckedMutation {
        CheckedMutation { kind: MutationKind::Append(vec![0; bytes].into()), ..put(key) }
    }
    fn delete(key: &str) -> CheckedMutation {
        CheckedMutation { kind: MutationKind::Delete, ..put(key) }
    }
    fn at_version(version: u64, mutation: CheckedMutation) -> CheckedMutation {
        CheckedMutation { expected_version: Some(version), ..mutation }
    }
    fn mismatch(at: u64, key: &str, expected: u64, actual: u64) -> Result<(), Remark> {
        Err(Remark::VersionMismatch {
            mutation: at,
            key: key.into(),
            expected_version: expected,
            actual_version: actual,
        })
    }

    #[test]
    fn a_version_is_compared_when_the_mutations_turn_comes() {
        let cases = [
            (vec![at_version(10, put("a"))], Ok(())),
            (vec![at_version(0, put("new"))], Ok(())),
            (vec![at_version(9, put("a"))], mismatch(0, "a", 9, 10)),
            (vec![at_version(0, put("a"))], mismatch(0, "a", 0, 10)),
            (vec![at_version(3, put("new"))], mismatch(0, "new", 3, 0)),
            (vec![at_version(9, delete("a"))], mismatch(0, "a", 9, 10)),
            (vec![at_version(9, append("a", 1))], mismatch(0, "a", 9, 10)),
            (vec![put("b"), at_version(9, put("a"))], mismatch(1, "a", 9, 10)),
            (vec![delete("a"), at_version(0, put("a"))], Ok(())),
            (vec![delete("a"), at_version(10, put("a"))], mismatch(1, "a", 10, 0)),
            (vec![put("a"), at_version(REVISION, delete("a"))], Ok(())),
            (vec![put("a"), at_version(10, delete("a"))], mismatch(1, "a", 10, REVISION)),
        ];
        for (mutations, expected) in cases {
            assert_eq!(check(&mutations, REVISION, stored), Ok(expected), "{mutations:?}");
        }
    }

    #[test]
    fn appends_add_up_to_the_longest_value_and_no_further() {
        let limit = VALUE_BYTES_MAX as u64;
        let too_large =
            |key: &str, bytes| Err(Remark::ValueTooLarge { key: key.into(), bytes, limit });
        let cases = [
            (vec![append("a", VALUE_BYTES_MAX - 4)], Ok(())),
            (vec![append("a", VALUE_BYTES_MAX - 3)], too_large("a", limit + 1)),
            (vec![append("new", VALUE_BYTES_MAX)], Ok(())),
            (vec![append("full", 0)], Ok(())),
            (vec![append("full", 1)], too_large("full", limit + 1)),
            (vec![delete("full"), append("full", 1)], Ok(())),
            (vec![put("full"), append("full", 1)], Ok(())),
            (vec![append("b", VALUE_BYTES_MAX), append("b", 1)], too_large("b", limit + 1)),
        ];
        for (mutations, expected) in cases {
            assert_eq!(check(&mutations, REVISION, stored), Ok(expected));
        }
    }

    #[test]
    fn what_the_storage_could_not_read_is_no_refusal() {
        let broken = |_: &str| Err::<Option<Standing>, _>("the disk is gone");
        assert_eq!(check(&[put("a")], REVISION, broken), Err("the disk is gone"));
        assert_eq!(check(&[], REVISION, broken), Ok(Ok(())));
    }
}
