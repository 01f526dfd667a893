//! Both directions of the Session stream. A node reads a command as the unary call reads it. What a
//! client reads says the same once it is written and read again; a problem stays the same problem in a
//! stream and in a status; an answer keeps the number of its question.

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::session_request::Command as Wire;
use leasehold_api::pb::lease::v1::session_response::Message;
use leasehold_api::{CheckedRelease, Failure, Problem, claim_from_answer};
use leasehold_client::fuzz::{Said, request, said};
use leasehold_client::message::{Answer, Command};
use leasehold_types::{Acquire, ClaimAnswer, Renew, RequestId, Standing};

use crate::lease_requests::read;

/// The first byte says who speaks.
pub fn check(bytes: &[u8]) {
    let Some((who, body)) = bytes.split_first() else { return };
    match who % 3 {
        0 => read(body, asked),
        1 => read(body, answered),
        _ => read(body, |raw: pb::Failure| failed(&Failure::from(raw))),
    }
}

fn asked(raw: pb::SessionRequest) {
    let command = match raw.command.clone() {
        Some(Wire::Acquire(raw)) => Acquire::try_from(raw).map(Command::Acquire),
        Some(Wire::Renew(raw)) => Renew::try_from(raw).map(|renew| Command::Renew(renew.requests)),
        Some(Wire::Release(raw)) => CheckedRelease::try_from(raw)
            .map(|CheckedRelease { resource, token }| Command::Release { resource, token }),
        Some(Wire::Cancel(raw)) => RequestId::try_from(raw).map(Command::Cancel),
        None => return,
    };
    let Ok(command) = command else { return };
    let sent = request(raw.attempt, command.clone());
    assert_eq!(sent.attempt, raw.attempt);
    match (sent.command, raw.command) {
        // The client names claims by their ids alone, and spells a time its own way.
        (Some(Wire::Renew(sent)), Some(Wire::Renew(raw))) => {
            assert_eq!(sent.request_ids, raw.request_ids);
        }
        (Some(Wire::Acquire(sent)), _) => {
            assert_eq!(Acquire::try_from(sent).map(Command::Acquire), Ok(command));
        }
        (sent, raw) => assert_eq!(sent, raw),
    }
}

fn answered(raw: pb::SessionResponse) {
    let attempt = raw.attempt;
    match said(raw) {
        Err(_) => {}
        Ok(Said::Pushed(_) | Said::Welcome { .. }) => {}
        Ok(Said::Answered(number, answer)) => {
            assert_eq!(number, attempt);
            if let Answer::Failed { problem, .. } = &answer {
                same_problem(problem);
            }
            let wire = pb::SessionResponse { attempt, message: Some(to_wire(&answer)) };
            let Ok(Said::Answered(_, again)) = said(wire) else { panic!("an answer") };
            assert_eq!(spoken(again), spoken(answer));
        }
    }
}

/// How long to pause is the problem's own affair; what is left of an answer.
fn spoken(answer: Answer) -> Answer {
    match answer {
        Answer::Failed { problem, .. } => Answer::Failed { problem, retry_after: None },
        other => other,
    }
}

/// As a node of ours says it.
pub(crate) fn to_wire(answer: &Answer) -> Message {
    let standing = |claim: &ClaimAnswer| Some(claim_from_answer(claim));
    match answer {
        Answer::Acquired(claim) => {
            Message::Acquired(pb::SessionAcquired { claim: standing(claim), revision: 1 })
        }
        Answer::Renewed(items) => {
            let result = |item: &Result<ClaimAnswer, Problem>| match item {
                Ok(claim) => pb::renew_result::Result::Claim(claim_from_answer(claim)),
                Err(no) => pb::renew_result::Result::Refused(Failure::from(no).into()),
            };
            let results =
                items.iter().map(|item| pb::RenewResult { result: Some(result(item)) }).collect();
            Message::Renewed(pb::RenewResponse { results, revision: 1 })
        }
        Answer::Released { was_held } => {
            Message::Released(pb::ReleaseResponse { was_held: *was_held, revision: 1 })
        }
        Answer::Cancelled { was_live } => Message::Cancelled(pb::CancelResponse {
            was_live: *was_live,
            ..pb::CancelResponse::default()
        }),
        Answer::Failed { problem, .. } => Message::Failed(Failure::from(problem).into()),
    }
}

/// What is understood says the facts that were told, and no others. Whether it was applied follows from
/// the reason, whatever was told: no client of ours reads that word.
fn failed(raw: &Failure) {
    let problem = raw.problem();
    same_problem(&problem);
    let again = Failure::from(&problem);
    if again.reason != raw.reason {
        return;
    }
    for (name, fact) in again.metadata.iter().filter(|(name, _)| *name != "applied") {
        let told = raw.metadata.get(name).unwrap_or(fact);
        let number = |text: &str| text.parse::<u64>().ok();
        let same = told == fact || (number(told).is_some() && number(told) == number(fact));
        assert!(same, "{name} of {} was {told:?} and became {fact:?}", raw.reason);
    }
}

/// In a stream, in a status, and as often as one likes.
fn same_problem(problem: &Problem) {
    let wire: pb::Failure = Failure::from(problem).into();
    assert_eq!(Failure::from(wire).problem(), *problem);
    let status = Failure::from(problem).into_status();
    assert_eq!(status.code(), problem.code());
    assert_eq!(Problem::from(&status), *problem);
}

/// Whether it says that the claim is held.
pub(crate) fn is_held(claim: &ClaimAnswer) -> bool {
    matches!(claim.standing, Standing::Held { .. })
}
