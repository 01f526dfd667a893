//! What nobody in the world knows, kept to judge it: who asked when, what was answered, what was
//! accepted. And the verdicts.
//!
//! A flaw is found at the step that commits it, and stays.

use crate::world::CLAIMS_MAX;

/// What was done wrong, by the property that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    TokenTwice,
    TokenOrder,
    HeldTwice,
    StoreOrder,
    StoreFalseRefusal,
    AcknowledgedLost,
    UpdateLost,
    GrantedTwice,
    TokenDiffers,
    GrantedAfterNo,
    AnsweredWithoutEffect,
    DeadGranted,
    CoreI1,
    CoreI6,
    CoreI7,
    CoreOther,
    QueueJumped,
    MarkDecreased,
    NotesDiffer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ghost {
    flaws: u32,
    /// One bit per token that was issued.
    pub(crate) issued: u64,
    /// The largest token that any client was told.
    pub(crate) answered: u64,
    /// By request number.
    pub(crate) fates: Vec<Fate>,
    /// The largest token of a write that the store accepted.
    pub(crate) accepted: u64,
    /// The largest token that was presented to the store.
    pub(crate) presented: u64,
}

/// What became of one request id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// The largest token that any client had been told when it was first asked for.
    pub(crate) asked_after: u64,
    /// The token granted, 0 for none.
    pub(crate) token: u64,
    /// Whether its client was told, or told its caller, a definite no.
    pub(crate) said_no: bool,
    /// Steps of time under a leader since its client's last request that moved its deadline.
    pub(crate) idle: u8,
    /// Changes of leader since then.
    pub(crate) changes: u8,
}

impl Ghost {
    pub(crate) fn new(clients: usize) -> Self {
        let fates = vec![Fate::default(); clients * usize::from(CLAIMS_MAX)];
        Self { flaws: 0, issued: 0, answered: 0, fates, accepted: 0, presented: 0 }
    }

    pub(crate) fn blame(&mut self, flaw: Flaw) {
        self.flaws |= 1 << flaw as u32;
    }

    pub(crate) fn blame_if(&mut self, is_flawed: bool, flaw: Flaw) {
        if is_flawed {
            self.blame(flaw);
        }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaws & 1 << flaw as u32 != 0
    }

    pub(crate) fn flaws(&self) -> u32 {
        self.flaws
    }

    pub(crate) fn fate(&mut self, request: u8) -> &mut Fate {
        &mut self.fates[usize::from(request)]
    }

    pub(crate) fn told(&mut self, token: u64) {
        self.answered = self.answered.max(token);
    }

    /// What is broken by a name that the core reports.
    pub(crate) fn blame_core(&mut self, name: &str) {
        self.blame(match &name[..2] {
            "I1" => Flaw::CoreI1,
            "I6" => Flaw::CoreI6,
            "I7" => Flaw::CoreI7,
            _ => Flaw::CoreOther,
        });
    }
}
