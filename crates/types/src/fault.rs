//! Not knowing, or not being able to: everything that is not a replicated answer.

use alloc::string::String;

/// Why there is no answer. Never a refusal: the cluster has said neither yes nor no.
///
/// [`Fault::surely_not_applied`] tells whether the request can have had an effect; gRPC's own codes
/// cannot, since gRPC invents `UNAVAILABLE` by itself. [`Fault::reason`] is the stable word on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No leader is known, or the node that was asked does not lead. Surely not applied.
    #[error("no leader took the request{}", match .leader_address { Some(a) => alloc::format!("; the leader may be {a}"), None => String::new() })]
    NoLeader {
        /// Where clients may reach the leader, `host:port`.
        leader_address: Option<String>,
    },
    /// A queue in front of the log is full. Surely not applied.
    #[error("too many requests are under way (limit {limit})")]
    QueueFull {
        /// The queue's bound.
        limit: u64,
    },
    /// The node is stopping and takes nothing new. Surely not applied.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// It may have happened, or may still happen. Ask again with the same request id.
    #[error("the outcome is unknown: {why}")]
    OutcomeUnknown {
        /// What went missing.
        why: String,
    },
    /// The disk failed; the node is stopping. Whether it happened is unknown.
    #[error("storage failed: {why}")]
    Storage {
        /// What the disk said.
        why: String,
    },
}

impl Fault {
    /// Whether the request surely had no effect and never will.
    pub const fn surely_not_applied(&self) -> bool {
        match self {
            Self::NoLeader { .. } | Self::QueueFull { .. } | Self::ShuttingDown => true,
            Self::OutcomeUnknown { .. } | Self::Storage { .. } => false,
        }
    }

    /// The stable upper-case word that travels as `ErrorInfo.reason`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoLeader { .. } => "NO_LEADER",
            Self::QueueFull { .. } => "QUEUE_FULL",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::OutcomeUnknown { .. } => "OUTCOME_UNKNOWN",
            Self::Storage { .. } => "STORAGE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn only_a_request_that_was_never_taken_in_was_surely_not_applied() {
        let why = String::from("it said so");
        let never = [
            Fault::NoLeader { leader_address: None },
            Fault::QueueFull { limit: 1 },
            Fault::ShuttingDown,
        ];
        assert!(never.iter().all(Fault::surely_not_applied));
        let perhaps = [Fault::OutcomeUnknown { why: why.clone() }, Fault::Storage { why }];
        assert!(!perhaps.iter().any(Fault::surely_not_applied));
    }
}
