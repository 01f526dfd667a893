//! A problem on the wire: a gRPC status with `google.rpc` details, or a `Failure` inside a stream.
//!
//! Both carry the same five facts. Reading one back gives the [`Problem`] it was made from; what was
//! not made by a Leasehold server (a proxy's, or the gRPC library's own) reads as an unknown outcome,
//! since nobody can tell whether the request was applied.

use std::borrow::Cow;
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use leasehold_types::{
    BadField, EndReason, Fault, FencingToken, HeldBy, Holder, Refusal, ResourceName, StoreRefusal,
    WatchRefusal,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Problem, duration_from_std, pb, std_from_duration};

/// `ErrorInfo.domain` of everything that a Leasehold server says.
pub const ERROR_DOMAIN: &str = "leasehold";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The gRPC status code.
    pub code: Code,
    /// The stable reason.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// Facts.
    pub metadata: HashMap<String, String>,
    /// When to try again, where waiting helps.
    pub retry_after: Option<Duration>,
}

impl From<&Problem> for Failure {
    fn from(problem: &Problem) -> Self {
        Self {
            code: problem.code(),
            reason: problem.reason().to_owned(),
            message: problem.to_string(),
            metadata: problem.metadata(),
            retry_after: problem.retry_after(),
        }
    }
}

impl Failure {
    /// As a gRPC status with `ErrorInfo` and, where waiting helps, `RetryInfo`.
    pub fn into_status(self) -> Status {
        let mut details = ErrorDetails::with_error_info(self.reason, ERROR_DOMAIN, self.metadata);
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        Status::with_error_details(self.code, self.message, details)
    }

    /// Reads a gRPC status. `None` when it was not made by a Leasehold server.
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == ERROR_DOMAIN)?;
        Some(Self {
            code: status.code(),
            reason: info.reason.clone(),
            message: status.message().to_owned(),
            metadata: info.metadata.clone(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        })
    }

    /// The problem this was made from; an unknown outcome where a reason or fact is missing.
    pub fn problem(&self) -> Problem {
        self.read().unwrap_or_else(|| {
            let why = format!("{:?} {}: {}", self.code, self.reason, self.message);
            Fault::OutcomeUnknown { why }.into()
        })
    }

    fn read(&self) -> Option<Problem> {
        Some(match self.reason.as_str() {
            "BAD_FIELD" => {
                BadField::new(self.text("field")?, self.text("got")?, self.text("allowed")?).into()
            }
            "REVISION_NOT_RETAINED" => WatchRefusal::NotRetained {
                asked: self.fact("asked")?,
                oldest: self.fact("oldest")?,
            }
            .into(),
            "REVISION_IN_FUTURE" => WatchRefusal::InFuture {
                asked: self.fact("asked")?,
                current: self.fact("current")?,
            }
            .into(),
            "NO_LEADER" => Fault::NoLeader { leader_address: self.text("leader_address") }.into(),
            "QUEUE_FULL" => Fault::QueueFull { limit: self.fact("limit")? }.into(),
            "SHUTTING_DOWN" => Fault::ShuttingDown.into(),
            "OUTCOME_UNKNOWN" => Fault::OutcomeUnknown { why: self.text("why")? }.into(),
            "STORAGE" => Fault::Storage { why: self.text("why")? }.into(),
            _ => {
                return self
                    .read_refusal()
                    .map(Problem::from)
                    .or_else(|| self.read_store_refusal().map(Problem::from));
            }
        })
    }

    fn read_refusal(&self) -> Option<Refusal> {
        Some(match self.reason.as_str() {
            "HELD" => Refusal::Held {
                resource: ResourceName::new(&self.text("resource")?).ok()?,
                by: HeldBy {
                    holder: Holder::new(&self.text("holder")?).ok()?,
                    token: self.token("token")?,
                    held_for_ms: self.fact("held_for_ms")?,
                    ends_in_ms: self.fact("ends_in_ms")?,
                    queue_length: self.fact("queue_length")?,
                },
            },
            "WAIT_OVER" => Refusal::WaitOver,
            "ENDED" => Refusal::Ended { why: end_reason(&self.text("why")?)? },
            "REQUEST_REUSED" => Refusal::RequestReused { field: Cow::Owned(self.text("field")?) },
            "NOT_HOLDER" => Refusal::NotHolder { token: self.token("token")? },
            "TOKEN_NOT_FOUND" => Refusal::TokenNotFound { token: self.token("token")? },
            "WRONG_RESOURCE" => Refusal::WrongResource {
                token: self.token("token")?,
                asked: ResourceName::new(&self.text("asked")?).ok()?,
                actual: ResourceName::new(&self.text("actual")?).ok()?,
            },
            "TOO_MANY_CLAIMS" => Refusal::TooManyClaims { limit: self.fact("limit")? },
            "TOO_MANY_WAITERS" => Refusal::TooManyWaiters {
                resource: ResourceName::new(&self.text("resource")?).ok()?,
                limit: self.fact("limit")?,
            },
            "EMBARGO" => Refusal::Embargo { remaining_ms: self.fact("remaining_ms")? },
            "EXHAUSTED" => Refusal::Exhausted,
            _ => return None,
        })
    }

    fn read_store_refusal(&self) -> Option<StoreRefusal> {
        Some(match self.reason.as_str() {
            "STALE_TOKEN" => StoreRefusal::StaleToken {
                token: self.fact("token")?,
                mark_token: self.fact("mark_token")?,
                mark_sequence: self.fact("mark_sequence")?,
            },
            "STALE_SEQUENCE" => StoreRefusal::StaleSequence {
                sequence: self.fact("sequence")?,
                mark_token: self.fact("mark_token")?,
                mark_sequence: self.fact("mark_sequence")?,
            },
            "BELOW_FLOOR" => {
                StoreRefusal::BelowFloor { token: self.fact("token")?, floor: self.fact("floor")? }
            }
            "WRONG_CLUSTER" => StoreRefusal::WrongCluster {
                presented: self.text("presented")?,
                pinned: self.text("cluster_id")?,
            },
            "VERSION_MISMATCH" => StoreRefusal::VersionMismatch {
                mutation: self.fact("mutation")?,
                key: self.text("key")?,
                expected_version: self.fact("expected_version")?,
                actual_version: self.fact("actual_version")?,
            },
            "VALUE_TOO_LARGE" => StoreRefusal::ValueTooLarge {
                key: self.text("key")?,
                bytes: self.fact("bytes")?,
                limit: self.fact("limit")?,
            },
            "TOO_MANY_RESOURCES" => StoreRefusal::TooManyResources { limit: self.fact("limit")? },
            _ => return None,
        })
    }

    fn text(&self, key: &str) -> Option<String> {
        self.metadata.get(key).cloned()
    }

    fn fact<T: FromStr>(&self, key: &str) -> Option<T> {
        self.metadata.get(key)?.parse().ok()
    }

    fn token(&self, key: &str) -> Option<FencingToken> {
        FencingToken::new(self.fact(key)?)
    }
}

fn end_reason(text: &str) -> Option<EndReason> {
    [EndReason::Released, EndReason::Cancelled, EndReason::Expired, EndReason::WaitOver]
        .into_iter()
        .find(|why| why.to_string() == text)
}

impl From<&Status> for Problem {
    fn from(status: &Status) -> Self {
        match Failure::from_status(status) {
            Some(failure) => failure.problem(),
            None => {
                let why = format!("{:?}: {}", status.code(), status.message());
                Fault::OutcomeUnknown { why }.into()
            }
        }
    }
}

impl From<Failure> for pb::lease::v1::Failure {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code as i32,
            reason: failure.reason,
            message: failure.message,
            metadata: failure.metadata,
            retry_after: failure.retry_after.map(duration_from_std),
        }
    }
}

impl From<pb::lease::v1::Failure> for Failure {
    fn from(raw: pb::lease::v1::Failure) -> Self {
        let pb::lease::v1::Failure { code, reason, message, metadata, retry_after } = raw;
        let retry_after = retry_after.and_then(|raw| std_from_duration("retry_after", &raw).ok());
        Self { code: Code::from_i32(code), reason, message, metadata, retry_after }
    }
}

impl From<Failure> for pb::store::v1::Failure {
    fn from(failure: Failure) -> Self {
        let Failure { code, reason, message, metadata, retry_after: _ } = failure;
        Self { code: code as i32, reason, message, metadata }
    }
}

impl From<pb::store::v1::Failure> for Failure {
    fn from(raw: pb::store::v1::Failure) -> Self {
        let pb::store::v1::Failure { code, reason, message, metadata } = raw;
        Self { code: Code::from_i32(code), reason, message, metadata, retry_after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_problem() -> Vec<Problem> {
        let token = FencingToken::new(7).expect("not zero");
        let resource = ResourceName::new("jobs/nightly").expect("within bounds");
        let other = ResourceName::new("jobs/daily").expect("within bounds");
        let holder = Holder::new("host/1/worker").expect("within bounds");
        let by = HeldBy { holder, token, held_for_ms: 5, ends_in_ms: 9_995, queue_length: 2 };
        let reasons =
            [EndReason::Released, EndReason::Cancelled, EndReason::Expired, EndReason::WaitOver];
        let why = String::from("the reply was lost");
        let key = String::from("k");
        let mut all: Vec<Problem> = vec![
            BadField::new("ttl", "0 ms", "1 ms to 24 h").into(),
            Refusal::Held { resource: resource.clone(), by }.into(),
            Refusal::WaitOver.into(),
            Refusal::RequestReused { field: "holder".into() }.into(),
            Refusal::NotHolder { token }.into(),
            Refusal::TokenNotFound { token }.into(),
            Refusal::WrongResource { token, asked: resource.clone(), actual: other }.into(),
            Refusal::TooManyClaims { limit: 3 }.into(),
            Refusal::TooManyWaiters { resource, limit: 4 }.into(),
            Refusal::Embargo { remaining_ms: 60 }.into(),
            Refusal::Exhausted.into(),
            StoreRefusal::StaleToken { token: 1, mark_token: 2, mark_sequence: 3 }.into(),
            StoreRefusal::StaleSequence { sequence: 1, mark_token: 2, mark_sequence: 3 }.into(),
            StoreRefusal::BelowFloor { token: 1, floor: 2 }.into(),
            StoreRefusal::WrongCluster { presented: "a".into(), pinned: "b".into() }.into(),
            StoreRefusal::VersionMismatch {
                mutation: 0,
                key: key.clone(),
                expected_version: 1,
                actual_version: 2,
            }
            .into(),
            StoreRefusal::ValueTooLarge { key, bytes: 2, limit: 1 }.into(),
            StoreRefusal::TooManyResources { limit: 1 }.into(),
            WatchRefusal::NotRetained { asked: 1, oldest: 2 }.into(),
            WatchRefusal::InFuture { asked: 2, current: 1 }.into(),
            Fault::NoLeader { leader_address: None }.into(),
            Fault::NoLeader { leader_address: Some("127.0.0.1:1".into()) }.into(),
            Fault::QueueFull { limit: 1 }.into(),
            Fault::ShuttingDown.into(),
            Fault::OutcomeUnknown { why: why.clone() }.into(),
            Fault::Storage { why }.into(),
        ];
        all.extend(reasons.map(|why| Problem::from(Refusal::Ended { why })));
        all
    }

    #[test]
    fn every_problem_reads_back_from_a_status_as_itself() {
        for problem in every_problem() {
            let status = Status::from(problem.clone());
            assert_ne!(status.code(), Code::Ok);
            assert_eq!(Problem::from(&status), problem, "{}", problem.reason());
        }
    }

    #[test]
    fn every_problem_reads_back_from_inside_a_stream_as_itself() {
        for problem in every_problem() {
            let lease: pb::lease::v1::Failure = Failure::from(&problem).into();
            assert_eq!(Failure::from(lease).problem(), problem);
            let store: pb::store::v1::Failure = Failure::from(&problem).into();
            assert_eq!(Failure::from(store).problem(), problem);
        }
    }

    #[test]
    fn a_status_that_no_server_of_ours_made_is_an_unknown_outcome() {
        for code in [Code::Unavailable, Code::Cancelled, Code::DeadlineExceeded, Code::Aborted] {
            let problem = Problem::from(&Status::new(code, "from a proxy"));
            assert!(matches!(problem, Problem::Fault(Fault::OutcomeUnknown { .. })), "{code:?}");
        }
    }

    #[test]
    fn a_known_reason_without_its_facts_is_an_unknown_outcome() {
        let failure = Failure {
            code: Code::Aborted,
            reason: "HELD".into(),
            message: String::new(),
            metadata: HashMap::new(),
            retry_after: None,
        };
        assert!(matches!(failure.problem(), Problem::Fault(Fault::OutcomeUnknown { .. })));
    }
}
