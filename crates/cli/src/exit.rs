//! Exit codes are part of the interface: scripts branch on them, so they never change meaning.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | CMD's own | `lock` and `dev`: what the command exited with; 128 + N if signal N ended it; 126 or 127 if it could not be run |
//! | 1 | anything not listed, such as an address where something else answers |
//! | 2 | usage: a flag, or a value that its field does not allow, whoever noticed, this program or the server |
//! | 69 | no majority, or the outcome is unknown: it may have happened |
//! | 73 | the token or its sequence was refused as stale, or is below the store's floor: nothing was written |
//! | 75 | not acquired in time: held by another, waited in vain, or the cluster takes no more claims at the moment |
//! | 76 | the lease is lost: do not act under its token any more |
//! | 78 | bad config: the message names the key |
//!
//! 69 to 78 are from BSD's `sysexits.h`: unavailable, can't create, temporary failure, protocol, config.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use leasehold_types::{BadField, Fault, Refusal, StoreRefusal, WatchRefusal};

use crate::chain::one_line;

/// Anything not listed.
pub(crate) const OTHER: u8 = 1;
/// A flag or value that is not allowed.
pub(crate) const USAGE: u8 = 2;
/// No majority, or outcome unknown.
pub(crate) const UNAVAILABLE: u8 = 69;
/// A stale token or sequence.
pub(crate) const STALE: u8 = 73;
/// Not acquired in time.
pub(crate) const NOT_ACQUIRED: u8 = 75;
/// The lease is lost.
pub(crate) const LEASE_LOST: u8 = 76;
/// Bad config.
pub(crate) const CONFIG: u8 = 78;
/// As a shell: the command was found and cannot be run.
pub(crate) const COMMAND_NOT_RUNNABLE: u8 = 126;
/// As a shell: the command was not found.
pub(crate) const COMMAND_NOT_FOUND: u8 = 127;

/// The table above, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  CMD  lock, dev: the command's own status; 128 + N if signal N ended it
  1    anything not listed here
  2    usage: a flag, or a value that its field does not allow
  69   no majority, or the outcome is unknown: it may have happened
  73   the token was refused as stale: nothing was written
  75   not acquired in time
  76   the lease is lost: do not act under its token any more
  78   bad config: the message names the key";

/// How a verb ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0.
    Done,
    /// The status of the command that was run.
    Command(u8),
}

impl Exit {
    /// As a shell tells that signal `number` ended it: 128 + N.
    pub(crate) fn signalled(number: i32) -> Self {
        Self::Command(128_u8.saturating_add(u8::try_from(number).unwrap_or(127)))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Command(status) => Self::from(status),
        }
    }
}

/// How a verb ended that did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One of the codes above.
    pub(crate) code: u8,
    /// The stable upper-case word, as on the wire.
    pub(crate) reason: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
}

impl Failure {
    /// With one of the codes above.
    pub(crate) fn new(code: u8, reason: &'static str, message: impl fmt::Display) -> Self {
        Self { code, reason, message: message.to_string() }
    }

    /// With code 1.
    pub(crate) fn other(message: impl fmt::Display) -> Self {
        Self::new(OTHER, "FAILED", message)
    }

    /// With code 1, and everything that led to it.
    pub(crate) fn because(error: impl Error) -> Self {
        Self::other(one_line(&error))
    }

    /// With code 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(USAGE, "USAGE", message)
    }

    /// With code 78.
    pub(crate) fn config(message: impl fmt::Display) -> Self {
        Self::new(CONFIG, "BAD_CONFIG", message)
    }

    /// With code 76.
    pub(crate) fn lease_lost(message: impl fmt::Display) -> Self {
        Self::new(LEASE_LOST, "LEASE_LOST", message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<BadField> for Failure {
    fn from(bad: BadField) -> Self {
        Self::new(USAGE, "BAD_FIELD", bad)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Held { .. }
            | Refusal::WaitOver
            | Refusal::TooManyClaims { .. }
            | Refusal::TooManyWaiters { .. }
            | Refusal::Embargo { .. } => NOT_ACQUIRED,
            Refusal::NotHolder { .. } | Refusal::Ended { .. } => LEASE_LOST,
            Refusal::RequestReused { .. }
            | Refusal::TokenNotFound { .. }
            | Refusal::WrongResource { .. }
            | Refusal::Exhausted => OTHER,
        };
        Self::new(code, refusal.reason(), refusal)
    }
}

impl From<StoreRefusal> for Failure {
    fn from(refusal: StoreRefusal) -> Self {
        let code = match &refusal {
            StoreRefusal::StaleToken { .. }
            | StoreRefusal::StaleSequence { .. }
            | StoreRefusal::BelowFloor { .. } => STALE,
            StoreRefusal::WrongCluster { .. }
            | StoreRefusal::VersionMismatch { .. }
            | StoreRefusal::ValueTooLarge { .. }
            | StoreRefusal::TooManyResources { .. } => OTHER,
        };
        Self::new(code, refusal.reason(), refusal)
    }
}

impl From<WatchRefusal> for Failure {
    fn from(refusal: WatchRefusal) -> Self {
        Self::new(OTHER, refusal.reason(), refusal)
    }
}

/// A fault is not knowing: a script must treat all of them as "it may have happened".
impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(UNAVAILABLE, fault.reason(), fault)
    }
}
