//! The store against a naive model of it, through clean restarts and kills.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::random::Random;
use super::*;
use crate::answer::{Remark, Remembered};

/// What the model keeps of one resource.
#[derive(Clone, Debug, Default)]
struct Known {
    token: u64,
    sequence: u64,
    /// The outcome of the write that set the mark.
    outcome: Option<Outcome>,
    /// Version, token and bytes of every key.
    values: BTreeMap<String, (u64, u64, Vec<u8>)>,
}

/// Copies everything before each request, changes it step by step, and goes back to the copy when a
/// step is refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    resources: BTreeMap<String, Known>,
    cluster_id: Option<String>,
    revision: u64,
}

impl Model {
    pub(super) fn apply(&mut self, request: &Request) -> Outcome {
        let (name, presented, sequence, mutations, cluster_id) = match request {
            Request::Write(w) => {
                let mutations = Some(&w.mutations[..]);
                (w.resource.as_str(), w.token.get(), w.sequence, mutations, &w.cluster_id)
            }
            Request::Raise { resource, token, cluster_id } => {
                (resource.as_str(), token.get(), 0, None, cluster_id)
            }
        };
        if let (Some(pinned), Some(presented)) = (&self.cluster_id, cluster_id)
            && pinned != presented
        {
            let (presented, pinned) = (presented.clone(), pinned.clone());
            return Err(StoreRefusal::WrongCluster { presented, pinned });
        }
        let known = self.resources.get(name).cloned().unwrap_or_default();
        let (mark_token, mark_sequence) = (known.token, known.sequence);
        if presented < mark_token {
            return Err(StoreRefusal::StaleToken { token: presented, mark_token, mark_sequence });
        }
        if presented == mark_token && sequence != 0 && sequence <= mark_sequence {
            return match known.outcome {
                Some(outcome) if sequence == mark_sequence => outcome,
                _ => Err(StoreRefusal::StaleSequence { sequence, mark_token, mark_sequence }),
            };
        }
        self.cluster_id = self.cluster_id.take().or_else(|| cluster_id.clone());
        let mut after = known;
        if presented > mark_token {
            (after.token, after.sequence, after.outcome) = (presented, 0, None);
        }
        after.sequence = after.sequence.max(sequence);
        let outcome = self.judge(&mut after, presented, mutations);
        if sequence != 0 {
            after.outcome = Some(outcome.clone());
        }
        self.resources.insert(name.to_owned(), after);
        outcome
    }

    fn judge(
        &mut self,
        after: &mut Known,
        presented: u64,
        mutations: Option<&[CheckedMutation]>,
    ) -> Outcome {
        if let Some(mutations) = mutations {
            let (revision, copy) = (self.revision + 1, after.values.clone());
            for (at, mutation) in mutations.iter().enumerate() {
                if let Err(refusal) = step(&mut after.values, at, mutation, revision, presented) {
                    after.values = copy;
                    return Err(refusal);
                }
            }
            self.revision = revision;
        }
        Ok(Written { mark: mark(after.token, after.sequence), revision: self.revision })
    }

    /// In the form a store's contents have.
    pub(super) fn contents(&self) -> Contents {
        let mut contents = Contents {
            cluster_id: self.cluster_id.clone(),
            revision: self.revision,
            highest_token: self.resources.values().map(|known| known.token).max().unwrap_or(0),
            ..Contents::default()
        };
        for (name, known) in &self.resources {
            let answer = remembered(known.outcome.as_ref()).to_bytes();
            contents.marks.push((name.clone(), known.token, known.sequence, answer));
            for (key, (version, token, bytes)) in &known.values {
                let row = (name.clone(), key.clone(), *version, *token, bytes.clone());
                contents.values.push(row);
            }
        }
        contents
    }
}

fn step(
    values: &mut BTreeMap<String, (u64, u64, Vec<u8>)>,
    at: usize,
    mutation: &CheckedMutation,
    revision: u64,
    token: u64,
) -> Result<(), StoreRefusal> {
    let actual_version = values.get(&mutation.key).map_or(0, |value| value.0);
    if let Some(expected_version) = mutation.expected_version
        && expected_version != actual_version
    {
        let (mutation, key) = (at as u64, mutation.key.clone());
        return Err(StoreRefusal::VersionMismatch {
            mutation,
            key,
            expected_version,
            actual_version,
        });
    }
    match &mutation.kind {
        MutationKind::Put(value) => {
            values.insert(mutation.key.clone(), (revision, token, value.to_vec()));
        }
        MutationKind::Delete => {
            values.remove(&mutation.key);
        }
        MutationKind::Append(value) => {
            let row = values.entry(mutation.key.clone()).or_default();
            (row.0, row.1) = (revision, token);
            row.2.extend_from_slice(value);
        }
    }
    Ok(())
}

fn remembered(outcome: Option<&Outcome>) -> Remembered {
    match outcome {
        None => Remembered::Nothing,
        Some(Ok(written)) => Remembered::Written { revision: written.revision },
        Some(Err(StoreRefusal::VersionMismatch {
            mutation,
            key,
            expected_version,
            actual_version,
        })) => Remembered::Refused(Remark::VersionMismatch {
            mutation: *mutation,
            key: key.clone(),
            expected_version: *expected_version,
            actual_version: *actual_version,
        }),
        Some(Err(other)) => panic!("{other} is not remembered"),
    }
}

fn mutation() -> impl Strategy<Value = CheckedMutation> {
    let key = prop::sample::select(vec!["a", "b", "c"]);
    let expected = prop_oneof![3 => Just(None), 1 => (0..6_u64).prop_map(Some)];
    (key, expected, 0..3, "[xyz]{0,3}").prop_map(|(key, expected_version, kind, value)| {
        let mutation = match kind {
            0 => put(key, &value),
            1 => append(key, &value),
            _ => delete(key),
        };
        CheckedMutation { expected_version, ..mutation }
    })
}

/// Few resources, few tokens, few sequences: most requests meet an earlier one.
pub(super) fn request() -> impl Strategy<Value = Request> {
    let resource = prop::sample::select(vec!["r", "r/1", "s"]);
    let cluster = prop::sample::select(vec![None, None, None, Some("home"), Some("away")]);
    let mutations = prop::collection::vec(mutation(), 0..4);
    (resource, 1..6_u64, 0..4_u64, mutations, cluster, 0..8).prop_map(
        |(resource, token, sequence, mutations, cluster, kind)| {
            let request = match (kind, write(resource, token, sequence, [])) {
                (0, _) => raise(resource, token),
                (_, Request::Write(empty)) => Request::Write(CheckedWrite { mutations, ..empty }),
                (_, raise @ Request::Raise { .. }) => raise,
            };
            match cluster {
                Some(id) => from_cluster(id, request),
                None => request,
            }
        },
    )
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Group(Vec<Request>),
    Restart,
    Kill,
    PowerCut { seed: u64 },
}

fn step_of_a_story() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(request(), 1..5).prop_map(Step::Group),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(|seed| Step::PowerCut { seed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_store_answers_as_the_model_does_through_restarts_kills_and_power_cuts(
        story in prop::collection::vec(step_of_a_story(), 1..40)
    ) {
        let (mut backend, mut store) = new_store();
        let mut model = Model::default();
        for step in story {
            match step {
                Step::Group(requests) => {
                    let expected: Vec<_> = requests.iter().map(|r| model.apply(r)).collect();
                    prop_assert_eq!(store.apply(&requests).expect("the disk is well"), expected);
                }
                Step::Restart => store = restarted(&backend, store),
                Step::Kill => {
                    backend = Backend::holding(backend.live());
                    store = open(&backend, &options()).expect("opens again");
                }
                Step::PowerCut { seed } => {
                    backend = backend.after_power_cut(&mut Random::new(seed));
                    store = open(&backend, &options()).expect("opens again");
                }
            }
            prop_assert_eq!(contents(&store), model.contents());
        }
    }
}
