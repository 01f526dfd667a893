//! Everything that is not an answer, and the one map from it to gRPC.

use std::collections::HashMap;
use std::time::Duration;

use leasehold_types::{BadField, Fault, Refusal, StoreRefusal, WatchRefusal};
use tonic::Code;

use crate::Failure;

/// Why a call was not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A field does not hold what it may.
    #[error(transparent)]
    BadField(#[from] BadField),
    /// The lease cluster said no.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreRefusal),
    /// A watch cannot start or go on there.
    #[error(transparent)]
    Watch(#[from] WatchRefusal),
    /// Nobody said yes or no.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Problem {
    /// The gRPC status code. The only such map; no arm is left out by a wildcard.
    pub const fn code(&self) -> Code {
        match self {
            Self::BadField(_) => Code::InvalidArgument,
            Self::Refusal(refusal) => match refusal {
                Refusal::Held { .. } | Refusal::WaitOver => Code::Aborted,
                Refusal::Ended { .. }
                | Refusal::NotHolder { .. }
                | Refusal::WrongResource { .. }
                | Refusal::Embargo { .. } => Code::FailedPrecondition,
                Refusal::RequestReused { .. } => Code::AlreadyExists,
                Refusal::TokenNotFound { .. } => Code::NotFound,
                Refusal::TooManyClaims { .. }
                | Refusal::TooManyWaiters { .. }
                | Refusal::Exhausted => Code::ResourceExhausted,
            },
            Self::Store(refusal) => match refusal {
                StoreRefusal::StaleToken { .. }
                | StoreRefusal::StaleSequence { .. }
                | StoreRefusal::BelowFloor { .. }
                | StoreRefusal::WrongCluster { .. } => Code::FailedPrecondition,
                StoreRefusal::VersionMismatch { .. } => Code::Aborted,
                StoreRefusal::ValueTooLarge { .. } | StoreRefusal::TooManyResources { .. } => {
                    Code::ResourceExhausted
                }
            },
            Self::Watch(refusal) => match refusal {
                WatchRefusal::NotRetained { .. } | WatchRefusal::InFuture { .. } => {
                    Code::OutOfRange
                }
            },
            Self::Fault(fault) => match fault {
                Fault::NoLeader { .. } | Fault::ShuttingDown => Code::Unavailable,
                Fault::QueueFull { .. } => Code::ResourceExhausted,
                Fault::OutcomeUnknown { .. } => Code::Unknown,
                Fault::Storage { .. } => Code::Internal,
            },
        }
    }

    /// The stable upper-case word that travels as `ErrorInfo.reason`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::BadField(_) => "BAD_FIELD",
            Self::Refusal(refusal) => refusal.reason(),
            Self::Store(refusal) => refusal.reason(),
            Self::Watch(refusal) => refusal.reason(),
            Self::Fault(fault) => fault.reason(),
        }
    }

    /// Whether the request surely had no effect: travels as metadata `applied` = `no`.
    pub const fn surely_not_applied(&self) -> bool {
        match self {
            Self::BadField(_) | Self::Refusal(_) | Self::Watch(_) => true,
            Self::Store(refusal) => !matches!(
                refusal,
                StoreRefusal::VersionMismatch { .. } | StoreRefusal::ValueTooLarge { .. }
            ),
            Self::Fault(fault) => fault.surely_not_applied(),
        }
    }

    /// When to try again, where waiting alone can help.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fault(Fault::NoLeader { .. } | Fault::QueueFull { .. } | Fault::ShuttingDown) => {
                Some(Duration::from_millis(100))
            }
            Self::Refusal(Refusal::Embargo { remaining_ms }) => {
                Some(Duration::from_millis(*remaining_ms))
            }
            Self::BadField(_)
            | Self::Refusal(_)
            | Self::Store(_)
            | Self::Watch(_)
            | Self::Fault(_) => None,
        }
    }

    /// The facts, as `ErrorInfo.metadata`.
    pub fn metadata(&self) -> HashMap<String, String> {
        let mut facts = Facts::default();
        match self {
            Self::BadField(bad) => {
                facts.add("field", &bad.field).add("got", &bad.got).add("allowed", &bad.allowed);
            }
            Self::Refusal(refusal) => facts.add_refusal(refusal),
            Self::Store(refusal) => facts.add_store_refusal(refusal),
            Self::Watch(WatchRefusal::NotRetained { asked, oldest }) => {
                facts.add("asked", asked).add("oldest", oldest);
            }
            Self::Watch(WatchRefusal::InFuture { asked, current }) => {
                facts.add("asked", asked).add("current", current);
            }
            Self::Fault(Fault::NoLeader { leader_address: Some(address) }) => {
                facts.add("leader_address", address);
            }
            Self::Fault(Fault::QueueFull { limit }) => {
                facts.add("limit", limit);
            }
            Self::Fault(Fault::OutcomeUnknown { why } | Fault::Storage { why }) => {
                facts.add("why", why);
            }
            Self::Fault(Fault::NoLeader { leader_address: None } | Fault::ShuttingDown) => {}
        }
        if self.surely_not_applied() {
            facts.add("applied", "no");
        }
        facts.0
    }
}

#[derive(Default)]
struct Facts(HashMap<String, String>);

impl Facts {
    fn add(&mut self, key: &str, value: impl ToString) -> &mut Self {
        self.0.insert(key.to_owned(), value.to_string());
        self
    }

    fn add_refusal(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Held { resource, by } => {
                self.add("resource", resource)
                    .add("holder", &by.holder)
                    .add("token", by.token)
                    .add("held_for_ms", by.held_for_ms)
                    .add("ends_in_ms", by.ends_in_ms)
                    .add("queue_length", by.queue_length);
            }
            Refusal::WaitOver | Refusal::Exhausted => {}
            Refusal::Ended { why } => {
                self.add("why", why);
            }
            Refusal::RequestReused { field } => {
                self.add("field", field);
            }
            Refusal::NotHolder { token } | Refusal::TokenNotFound { token } => {
                self.add("token", token);
            }
            Refusal::WrongResource { token, asked, actual } => {
                self.add("token", token).add("asked", asked).add("actual", actual);
            }
            Refusal::TooManyClaims { limit } => {
                self.add("limit", limit);
            }
            Refusal::TooManyWaiters { resource, limit } => {
                self.add("resource", resource).add("limit", limit);
            }
            Refusal::Embargo { remaining_ms } => {
                self.add("remaining_ms", remaining_ms);
            }
        }
    }

    fn add_store_refusal(&mut self, refusal: &StoreRefusal) {
        match refusal {
            StoreRefusal::StaleToken { token, mark_token, mark_sequence } => {
                self.add("token", token)
                    .add("mark_token", mark_token)
                    .add("mark_sequence", mark_sequence);
            }
            StoreRefusal::StaleSequence { sequence, mark_token, mark_sequence } => {
                self.add("sequence", sequence)
                    .add("mark_token", mark_token)
                    .add("mark_sequence", mark_sequence);
            }
            StoreRefusal::BelowFloor { token, floor } => {
                self.add("token", token).add("floor", floor);
            }
            StoreRefusal::WrongCluster { presented, pinned } => {
                self.add("presented", presented).add("cluster_id", pinned);
            }
            StoreRefusal::VersionMismatch { mutation, key, expected_version, actual_version } => {
                self.add("mutation", mutation)
                    .add("key", key)
                    .add("expected_version", expected_version)
                    .add("actual_version", actual_version);
            }
            StoreRefusal::ValueTooLarge { key, bytes, limit } => {
                self.add("key", key).add("bytes", bytes).add("limit", limit);
            }
            StoreRefusal::TooManyResources { limit } => {
                self.add("limit", limit);
            }
        }
    }
}

impl From<Problem> for tonic::Status {
    fn from(problem: Problem) -> Self {
        Failure::from(&problem).into_status()
    }
}
