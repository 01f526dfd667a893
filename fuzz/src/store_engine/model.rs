//! The store as dumb as possible: maps, copied before each request and put back where it is refused.

use std::collections::BTreeMap;

use leasehold_api::{CheckedMutation, MutationKind};
use leasehold_fence::Mark;
use leasehold_store::Written;
use leasehold_store::fuzz::Ask;
use leasehold_types::StoreRefusal;

type Outcome = Result<Written, StoreRefusal>;
/// Version, token and bytes.
type Value = (u64, u64, Vec<u8>);

/// What is known of one resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) mark: (u64, u64),
    /// What the write that set the mark was answered, if it had a sequence.
    answer: Option<Outcome>,
    pub(crate) values: BTreeMap<String, Value>,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) resources: BTreeMap<String, Known>,
    pub(crate) cluster_id: Option<String>,
    pub(crate) revision: u64,
    pub(crate) floor: u64,
    resources_max: u64,
}

impl Model {
    pub(crate) fn new(resources_max: u64) -> Self {
        let resources = BTreeMap::new();
        Self { resources, cluster_id: None, revision: 0, floor: 0, resources_max }
    }

    /// A floor only rises. What is below it may be dropped where nothing is stored under it.
    pub(crate) fn raise_floor(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        let floor = self.floor;
        self.resources.retain(|_, known| known.mark.0 >= floor || !known.values.is_empty());
    }

    pub(crate) fn apply(&mut self, ask: &Ask) -> Outcome {
        let (name, token, sequence, mutations, cluster_id) = match ask {
            Ask::Write(write) => {
                let mutations = Some(&write.mutations[..]);
                (&write.resource, write.token, write.sequence, mutations, &write.cluster_id)
            }
            Ask::Raise(read) => {
                let token = read.token.expect("a read that raises has a token");
                (&read.resource, token, 0, None, &read.cluster_id)
            }
        };
        let token = token.get();
        self.pass(token, cluster_id.as_ref())?;
        let before = self.resources.get(name.as_str()).cloned();
        let mut known = before.clone().unwrap_or_default();
        let (mark_token, mark_sequence) = known.mark;
        if token < mark_token {
            return Err(StoreRefusal::StaleToken { token, mark_token, mark_sequence });
        }
        if token == mark_token && sequence != 0 && sequence <= mark_sequence {
            return match known.answer {
                Some(answer) if sequence == mark_sequence => answer,
                _ => Err(StoreRefusal::StaleSequence { sequence, mark_token, mark_sequence }),
            };
        }
        let limit = self.resources_max;
        if before.is_none() && self.resources.len() as u64 >= limit {
            return Err(StoreRefusal::TooManyResources { limit });
        }
        self.cluster_id = self.cluster_id.take().or_else(|| cluster_id.clone());
        if token > mark_token {
            (known.mark, known.answer) = ((token, 0), None);
        }
        known.mark.1 = known.mark.1.max(sequence);
        let outcome = self.judge(&mut known, token, mutations);
        if sequence != 0 {
            known.answer = Some(outcome.clone());
        }
        self.resources.insert(name.to_string(), known);
        outcome
    }

    fn pass(&self, token: u64, cluster_id: Option<&String>) -> Result<(), StoreRefusal> {
        if let (Some(pinned), Some(presented)) = (&self.cluster_id, cluster_id)
            && pinned != presented
        {
            let (presented, pinned) = (presented.clone(), pinned.clone());
            return Err(StoreRefusal::WrongCluster { presented, pinned });
        }
        match token < self.floor {
            true => Err(StoreRefusal::BelowFloor { token, floor: self.floor }),
            false => Ok(()),
        }
    }

    fn judge(
        &mut self,
        known: &mut Known,
        token: u64,
        mutations: Option<&[CheckedMutation]>,
    ) -> Outcome {
        if let Some(mutations) = mutations {
            let (revision, copy) = (self.revision + 1, known.values.clone());
            for (at, mutation) in (0..).zip(mutations) {
                if let Err(refusal) = change(&mut known.values, at, mutation, revision, token) {
                    known.values = copy;
                    return Err(refusal);
                }
            }
            self.revision = revision;
        }
        let mark = Mark::from_parts(known.mark.0, known.mark.1).expect("a token is above 0");
        Ok(Written { mark, revision: self.revision })
    }
}

fn change(
    values: &mut BTreeMap<String, Value>,
    at: u64,
    mutation: &CheckedMutation,
    revision: u64,
    token: u64,
) -> Result<(), StoreRefusal> {
    let CheckedMutation { key, expected_version, kind } = mutation;
    let actual_version = values.get(key).map_or(0, |value| value.0);
    if let Some(expected_version) = *expected_version
        && expected_version != actual_version
    {
        let (mutation, key) = (at, key.clone());
        return Err(StoreRefusal::VersionMismatch {
            mutation,
            key,
            expected_version,
            actual_version,
        });
    }
    match kind {
        MutationKind::Put(value) => {
            values.insert(key.clone(), (revision, token, value.to_vec()));
        }
        MutationKind::Delete => _ = values.remove(key),
        MutationKind::Append(value) => {
            let row = values.entry(key.clone()).or_default();
            (row.0, row.1) = (revision, token);
            row.2.extend_from_slice(value);
        }
    }
    Ok(())
}
