//! Outcomes as answers: what the unary calls and the session say alike.

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{Failure, Problem, claim_from_answer};
use leasehold_core::{Answer, Outcome};
use leasehold_types::{ClaimAnswer, Fault, FencingToken, LeaseTime, Refusal, Revision};

/// A claim that was just acquired, or acquired before, and the moment at which this request found it.
pub(super) struct Acquired {
    pub(super) claim: ClaimAnswer,
    pub(super) at: LeaseTime,
    pub(super) revision: Revision,
}

pub(super) fn acquired(outcome: Outcome) -> Result<Acquired, Problem> {
    let Outcome { revision, at, answer } = outcome;
    match answer {
        Answer::Claim(claim) => Ok(Acquired { claim, at, revision }),
        other => Err(no_claim(other)),
    }
}

/// The items of a renewal as they were applied, for whoever wants to know more than the wire says.
pub(super) struct Renewed {
    pub(super) items: Vec<Result<ClaimAnswer, Refusal>>,
    pub(super) revision: Revision,
}

pub(super) fn renewed(outcome: Outcome) -> Result<Renewed, Problem> {
    let Outcome { revision, at: _, answer } = outcome;
    match answer {
        Answer::Renewed(items) => Ok(Renewed { items, revision }),
        other => Err(no_claim(other)),
    }
}

impl From<&Renewed> for pb::RenewResponse {
    fn from(renewed: &Renewed) -> Self {
        let results = renewed.items.iter().map(|item| {
            let result = match item {
                Ok(claim) => pb::renew_result::Result::Claim(claim_from_answer(claim)),
                Err(refusal) => {
                    let problem = Problem::from(refusal.clone());
                    pb::renew_result::Result::Refused(Failure::from(&problem).into())
                }
            };
            pb::RenewResult { result: Some(result) }
        });
        Self { results: results.collect(), revision: renewed.revision.0 }
    }
}

pub(super) fn released(outcome: Outcome) -> Result<pb::ReleaseResponse, Problem> {
    let Outcome { revision, at: _, answer } = outcome;
    match answer {
        Answer::Released { was_held } => Ok(pb::ReleaseResponse { was_held, revision: revision.0 }),
        other => Err(no_claim(other)),
    }
}

pub(super) fn cancelled(outcome: Outcome) -> Result<pb::CancelResponse, Problem> {
    let Outcome { revision, at: _, answer } = outcome;
    match answer {
        Answer::Cancelled { ended } => Ok(pb::CancelResponse {
            was_live: ended.is_some(),
            released_token: ended.flatten().map_or(0, FencingToken::get),
            revision: revision.0,
        }),
        other => Err(no_claim(other)),
    }
}

/// A refusal, or an answer to another question: then nobody knows what became of this one.
fn no_claim(answer: Answer) -> Problem {
    match answer {
        Answer::Refused(refusal) => refusal.into(),
        other => {
            let why = format!("the log answered another question: {other:?}");
            Fault::OutcomeUnknown { why }.into()
        }
    }
}
