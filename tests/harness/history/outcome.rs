//! Yes, no, or not known: what a gRPC answer is in a history.

use leasehold_api::{Failure, Problem};
use leasehold_sim::history::record::{Outcome, Refused, Token};
use tonic::{Response, Status};

/// The outcome of a unary call. A status that no server of ours made says nothing.
pub(super) fn outcome<T>(answer: &Result<Response<T>, Status>) -> Outcome<&T> {
    match answer {
        Ok(response) => Outcome::Ok(response.get_ref()),
        Err(status) => Failure::from_status(status).map_or(Outcome::Unknown, |no| failed(&no)),
    }
}

/// A failure, in a status or on a stream. A fault that was surely not applied is a definite no.
pub(super) fn failed<T>(failure: &Failure) -> Outcome<T> {
    match failure.problem() {
        Problem::Fault(fault) if !fault.surely_not_applied() => Outcome::Unknown,
        _ => Outcome::Refused(refused(failure)),
    }
}

fn refused(failure: &Failure) -> Refused {
    let fact = |name| failure.metadata.get(name)?.parse().ok();
    Refused {
        reason: failure.reason.clone(),
        held_token: fact("token").and_then(Token::new).filter(|_| failure.reason == "HELD"),
        mark_token: fact("mark_token").and_then(Token::new),
        mark_sequence: fact("mark_sequence"),
        ..Refused::default()
    }
}

/// The same outcome, with something else of the answer.
pub(super) fn map<T, U>(outcome: Outcome<T>, of: impl FnOnce(T) -> U) -> Outcome<U> {
    match outcome {
        Outcome::Ok(answer) => Outcome::Ok(of(answer)),
        Outcome::Refused(no) => Outcome::Refused(no),
        Outcome::Unknown => Outcome::Unknown,
    }
}

pub(super) fn as_ref<T>(outcome: &Outcome<T>) -> Outcome<&T> {
    match outcome {
        Outcome::Ok(answer) => Outcome::Ok(answer),
        Outcome::Refused(no) => Outcome::Refused(no.clone()),
        Outcome::Unknown => Outcome::Unknown,
    }
}
