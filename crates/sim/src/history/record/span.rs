//! When a call can have taken effect.

use super::{Outcome, Record};

/// From just before a call was sent to just after its answer came: it took effect in between, if at
/// all. Without an answer the end is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Just before it was sent.
    pub invoked_ns: u64,
    /// Just after its answer came; `u64::MAX` where the outcome is unknown.
    pub answered_ns: u64,
}

impl Span {
    /// The span of a call with that outcome. What is unknown may still happen, whenever the caller
    /// gave up.
    pub fn new<T>(invoked_ns: u64, answered_ns: Option<u64>, outcome: &Outcome<T>) -> Self {
        let answered_ns = if outcome.is_unknown() { None } else { answered_ns };
        Self { invoked_ns, answered_ns: answered_ns.unwrap_or(u64::MAX) }
    }
}

impl Record {
    /// When it can have taken effect, if it is a call.
    pub fn span(&self) -> Option<Span> {
        macro_rules! of {
            ($call:expr) => {
                Some(Span::new($call.invoked_ns, $call.answered_ns, &$call.outcome))
            };
        }
        match self {
            Self::Acquire(call) => of!(call),
            Self::Renew(call) => of!(call),
            Self::Release(call) => of!(call),
            Self::Cancel(call) => of!(call),
            Self::Get(call) => of!(call),
            Self::List(call) => of!(call),
            Self::Write(call) => of!(call),
            Self::Read(call) => of!(call),
            Self::Increment(call) => of!(call),
            Self::Event(_) | Self::Watched(_) | Self::Belief(_) | Self::Total(_) => None,
        }
    }

    /// What became of it, if it is a call.
    pub fn fate(&self) -> Option<Fate> {
        match self {
            Self::Acquire(call) => Some(Fate::of(&call.outcome)),
            Self::Renew(call) => Some(Fate::of(&call.outcome)),
            Self::Release(call) => Some(Fate::of(&call.outcome)),
            Self::Cancel(call) => Some(Fate::of(&call.outcome)),
            Self::Get(call) => Some(Fate::of(&call.outcome)),
            Self::List(call) => Some(Fate::of(&call.outcome)),
            Self::Write(call) => Some(Fate::of(&call.outcome)),
            Self::Read(call) => Some(Fate::of(&call.outcome)),
            Self::Increment(call) => Some(Fate::of(&call.outcome)),
            Self::Event(_) | Self::Watched(_) | Self::Belief(_) | Self::Total(_) => None,
        }
    }
}

/// An outcome without its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Yes.
    Ok,
    /// A definite no.
    Refused,
    /// Not known.
    Unknown,
}

impl Fate {
    fn of<T>(outcome: &Outcome<T>) -> Self {
        match outcome {
            Outcome::Ok(_) => Self::Ok,
            Outcome::Refused(_) => Self::Refused,
            Outcome::Unknown => Self::Unknown,
        }
    }
}
