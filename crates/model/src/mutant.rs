//! Changes to the protocol, each of a few lines at the place where the rule stands, that must give a
//! counter-example; and a few that must not.

/// One change to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The protocol as it is.
    None,
    /// A promotion moves the deadline to a ttl from now.
    PromotionResetsDeadline,
    /// Waiting claims have no deadline.
    WaitersLiveForEver,
    /// Ended ids are not remembered.
    NoEndedMemory,
    /// Ended ids are remembered for less than a message can be under way.
    MemoryTooShort,
    /// A cancel of an unknown id is answered and forgotten.
    CancelOfUnknownForgotten,
    /// A release ends whatever lease the resource has.
    ReleaseByResource,
    /// What is due ends one by one, with a hand-over after each.
    ExpireOneByOne,
    /// The token counter starts again when nothing is claimed.
    TokensRestart,
    /// A repeated acquire is answered with a whole ttl, though it moves no deadline.
    RepeatedAcquireSaysFullTtl,
    /// The answer to a renewal says only that the claim lives.
    RenewAnswerWithoutToken,
    /// The log takes a deposed leader's pulse, with its stamp.
    DeposedPulseAccepted,
    /// A deposed leader's own timer ends a lease.
    RevokeByTimer,
    /// A node that leads again goes on from its earlier note.
    OldNoteKept,
    /// A new leader starts every ttl afresh.
    NewLeaderRestartsTtls,
    /// Pulses only when something is due.
    OnlyDuePulses,
    /// The note is made at the election instead of at the first applied entry.
    NoteAtElection,
    /// A frozen leader's clock takes the whole leap.
    NoStepCap,
    /// What is above the cap is carried over, also into the next leadership.
    CapCaughtUpLater,
    /// A batch is stamped when it is opened.
    StampWhenOpened,
    /// Renewals are applied after what is due has ended.
    RenewalsAfterExpiry,
    /// A deposed leader answers a repeated acquire from its own replica.
    DeposedAnswersRetry,
    /// A deposed leader answers renewals by itself.
    DeposedAnswersRenew,
    /// A proposal is answered with whatever was committed at its index.
    ReplyByIndex,
    /// A node whose call broke cancels the claim.
    NodeCancelsBrokenCall,
    /// A client counts from when the answer came.
    TtlFromReceipt,
    /// A client counts a ttl from when a push came.
    PushProves,
    /// A client counts from its latest attempt, whichever was answered.
    LatestAttemptProves,
    /// A client leaves no margin for the clocks.
    NoDriftMargin,
    /// A client takes a refusal for definite while other attempts are unanswered.
    RefusalBelievedAtOnce,
    /// A client repeats the same id for longer than it is remembered.
    RetriesForEver,
    /// A client acts on while its release is under way.
    BelievesWhileReleasing,
    /// The store looks at no token.
    UnfencedStore,
    /// The store looks at the token alone.
    SequenceIgnored,
    /// A read with a token does not raise the mark.
    ReadDoesNotRaise,
    /// The mark is kept in memory.
    MarkNotDurable,
    /// A write is answered before it is durable.
    AnswerBeforeSync,
}

impl Mutant {
    /// Whether a node that led before remembers it when it leads again.
    pub(crate) fn leads_again(self) -> bool {
        matches!(self, Self::OldNoteKept | Self::CapCaughtUpLater)
    }

    /// Whether what is above the cap is dropped.
    pub(crate) fn drops_above_cap(self) -> bool {
        !matches!(self, Self::NoStepCap | Self::CapCaughtUpLater)
    }

    /// Whether it reads something that the protocol does not, and that is therefore no part of what
    /// makes two states different.
    pub(crate) fn reads_more(self) -> bool {
        self.leads_again()
            || matches!(
                self,
                Self::TokensRestart
                    | Self::DeposedPulseAccepted
                    | Self::RevokeByTimer
                    | Self::DeposedAnswersRetry
                    | Self::DeposedAnswersRenew
                    | Self::ReplyByIndex
                    | Self::LatestAttemptProves
            )
    }
}
