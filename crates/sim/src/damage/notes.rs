//! What clients were told, and so must find again after whatever happened to a disk.

use std::collections::{BTreeMap, BTreeSet};

use leasehold_core::{Answer, Command, Outcome};
use leasehold_types::{Acquire, FencingToken, Refusal, RequestId, ResourceName, Standing};

/// How a claim was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// Held under this token.
    Held(FencingToken),
    /// In the queue.
    Waiting,
    /// Ended, and its id is remembered.
    Ended,
}

impl Stands {
    /// What the answer to a repeated request says.
    pub(crate) fn from_answer(answer: &Answer) -> Result<Self, String> {
        match answer {
            Answer::Claim(claim) => Ok(match claim.standing {
                Standing::Held { token } => Self::Held(token),
                Standing::Waiting { .. } => Self::Waiting,
            }),
            Answer::Refused(Refusal::Ended { .. } | Refusal::WaitOver) => Ok(Self::Ended),
            other => Err(format!("{other:?}")),
        }
    }
}

/// A claim that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) ask: Acquire,
    pub(crate) stands: Stands,
}

/// Everything acknowledged so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    claims: BTreeMap<RequestId, Noted>,
    /// Something about these was asked, and what it did is not known whole.
    open: BTreeSet<ResourceName>,
    /// The largest token told.
    pub(crate) token: u64,
    /// The largest revision told.
    pub(crate) revision: u64,
}

impl Notes {
    /// Something about this resource is about to be asked.
    pub(crate) fn open(&mut self, resource: &ResourceName) {
        self.open.insert(resource.clone());
    }

    /// Every claim of it was asked for again.
    pub(crate) fn settle(&mut self, resource: &ResourceName) {
        self.open.remove(resource);
    }

    /// An answer arrived.
    pub(crate) fn hear(&mut self, command: &Command, outcome: &Outcome) {
        self.revision = self.revision.max(outcome.revision.0);
        let Command::Acquire(ask) = command else { return };
        // A claim that was refused outright is none.
        let Ok(stands) = Stands::from_answer(&outcome.answer) else { return };
        if let Stands::Held(token) = stands {
            self.token = self.token.max(token.get());
        }
        self.claims.insert(ask.request, Noted { ask: ask.clone(), stands });
    }

    /// All claims of a resource, ended or not.
    pub(crate) fn claims_of(&self, resource: &ResourceName) -> Vec<Acquire> {
        let of_it = self.claims.values().filter(|noted| noted.ask.resource == *resource);
        of_it.map(|noted| noted.ask.clone()).collect()
    }

    /// All resources that were ever claimed.
    pub(crate) fn resources(&self) -> BTreeSet<ResourceName> {
        self.claims.values().map(|noted| noted.ask.resource.clone()).collect()
    }

    /// The claims whose answer is certain.
    pub(crate) fn settled(&self) -> Vec<Noted> {
        let settled = |noted: &&Noted| !self.open.contains(&noted.ask.resource);
        self.claims.values().filter(settled).cloned().collect()
    }

    /// How many claims stand in each way, of those that are certain: held, waiting, ended.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for noted in self.settled() {
            counts[match noted.stands {
                Stands::Held(_) => 0,
                Stands::Waiting => 1,
                Stands::Ended => 2,
            }] += 1;
        }
        counts
    }
}
