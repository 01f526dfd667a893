//! Things that a search must have come across to mean anything.

use std::fmt;

use stateright::Property;

use crate::key::Keyed;
use crate::model::ProtocolModel;

macro_rules! happenings {
    ($($name:ident = $text:literal,)*) => {
        /// Something worth seeing at least once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Happening {
            $(#[doc = $text] $name,)*
        }

        impl Happening {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// In words.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        /// Each as something that should be possible.
        pub(crate) fn sometimes() -> Vec<Property<ProtocolModel>> {
            vec![$(Property::sometimes($text, |_, state: &Keyed| state.happened.has(Happening::$name)),)*]
        }
    };
}

happenings! {
    Granted = "a lease is granted at once",
    Promoted = "a waiter is granted",
    Refused = "an acquire is refused",
    Expired = "a lease expires",
    WaiterExpired = "a waiter dies in the queue",
    WaitOver = "a wait is over",
    Renewed = "a renewal moves a deadline",
    RenewedLate = "a renewal saves a claim that was due",
    RenewedTooLate = "a renewal is told that the lease is gone",
    DuplicateAnswered = "a repeated acquire is answered as the claim stands",
    EndedAnswered = "a repeated acquire is told that its claim has ended",
    CancelledUnknown = "a cancel overtakes its acquire",
    CancelledHeld = "a cancel ends a lease that its client never heard of",
    Released = "a lease is released",
    ReleasedTooLate = "a release comes after the lease ended",
    LeaderChanged = "a leader changes while a lease is held",
    EntryKept = "a new leader commits the old one's entry",
    EntryLost = "a change of leader loses an entry",
    LateCommit = "an entry commits after its stamp",
    Frozen = "a leader is frozen",
    DeposedRefused = "a deposed leader's proposal is refused",
    BoundPassed = "a holder stops believing by its own clock",
    GhostHolds = "a lease outlives what its client believes",
    ClientCrashed = "a holder crashes",
    MessageLost = "a message is lost",
    Copied = "a message is delivered twice",
    PushProvesNothing = "a push comes before any proof",
    Written = "a fenced write is accepted",
    StaleWrite = "a stale write is refused",
    RepeatedWrite = "a repeated write is answered and not applied",
    StaleSequence = "a holder's own late duplicate is refused",
    StoreCrashed = "the store crashes with a write in its memory",
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happenings(u64);

impl Happenings {
    pub(crate) fn note(&mut self, what: Happening) {
        self.0 |= 1 << what as u32;
    }

    /// Whether it is in the set.
    pub const fn has(self, what: Happening) -> bool {
        self.0 & 1 << what as u32 != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Happening> {
        Happening::ALL.iter().copied().filter(move |what| self.has(*what))
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}
