//! Which mutant must break what, in which small world.

use crate::config::{Config, GrantAnswer, Log, StoreConfig, TICK_MS, Wait};
use crate::mutant::Mutant;
use crate::run::{Found, Limits, Story, search, search_for};

/// A mutant's trial.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The change.
    pub mutant: Mutant,
    /// The change in words.
    pub what: &'static str,
    /// The property that it must break; `None` where it breaks nothing.
    pub breaks: Option<&'static str>,
    /// The smallest world that was found to show it.
    pub config: Config,
}

/// States after which a trial is given up.
const STATES_MAX: usize = 1_000_000;

impl Trial {
    /// Searches until the property is broken, or to the end.
    pub fn run(&self) -> Found {
        let limits = Limits { threads: 1, states: STATES_MAX };
        match self.breaks {
            Some(property) => search_for(self.config.clone(), &limits, property),
            None => search(self.config.clone(), &limits),
        }
    }

    /// The counter-example of the property that it must break.
    pub fn counter_example<'a>(&self, found: &'a Found) -> Option<&'a Story> {
        let is_wanted = |(name, _): &&(&str, Story)| Some(*name) == self.breaks;
        found.broken.iter().find(is_wanted).map(|(_, story)| story)
    }

    /// Whether it broke what it must, or nothing in a complete search.
    pub fn is_good(&self, found: &Found) -> bool {
        match self.breaks {
            Some(_) => self.counter_example(found).is_some(),
            None => found.is_complete,
        }
    }
}

const S1: &str = "S1 uniqueness of tokens";
const S4: &str = "S4 holder validity";
const C1: &str = "C1 nobody else is granted what a holder believes";
const S5: &str = "S5 fenced store";
const S6: &str = "S6 end to end: no update lost";
const S7: &str = "S7 idempotence";
const S8: &str = "S8 definite means definite";
const I1: &str = "I1 what is due has ended, or its turn comes after those that have";
const L1: &str = "L1 a fair schedule ends every claim";
const L2: &str = "L2 a dead holder is gone within the bound";

/// All trials, in the order of [`Mutant`].
pub fn trials() -> Vec<Trial> {
    [state_machine(), leader(), node(), client(), store()].concat()
}

fn trial(
    mutant: Mutant,
    what: &'static str,
    breaks: impl Into<Option<&'static str>>,
    world: impl FnOnce(&mut Config),
) -> Trial {
    let mut config = Config::new("trial", what);
    world(&mut config);
    config.mutant = mutant;
    Trial { mutant, what, breaks: breaks.into(), config }
}

fn state_machine() -> Vec<Trial> {
    vec![
        trial(
            Mutant::PromotionResetsDeadline,
            "a promotion moves the deadline to a ttl from now",
            L2,
            bound_waiting,
        ),
        trial(Mutant::WaitersLiveForEver, "waiting claims have no deadline", L2, bound_waiting),
        trial(Mutant::NoEndedMemory, "ended ids are not remembered", S7, two_messages),
        trial(
            Mutant::MemoryTooShort,
            "ended ids are forgotten while an acquire can be under way",
            S8,
            |config| {
                config.messages = 2;
                config.cancels = true;
                config.acquire_life = 3;
                config.memory_ms = 1_000;
            },
        ),
        trial(
            Mutant::CancelOfUnknownForgotten,
            "a cancel of an unknown id is answered and forgotten",
            S8,
            |config| {
                config.messages = 2;
                config.cancels = true;
            },
        ),
        trial(Mutant::ReleaseByResource, "a release ends whatever lease there is", S4, releasing),
        trial(
            Mutant::ExpireOneByOne,
            "what is due ends one by one, each with its hand-over",
            I1,
            |config| config.wait = Wait::Always,
        ),
        trial(
            Mutant::TokensRestart,
            "the token counter starts again when nothing is claimed",
            S1,
            releasing,
        ),
        trial(
            Mutant::RepeatedAcquireSaysFullTtl,
            "a repeated acquire says a whole ttl, and moves no deadline",
            S4,
            |_| {},
        ),
        trial(
            Mutant::RenewAnswerWithoutToken,
            "the answer to a renewal says only that the claim lives",
            L1,
            |config| {
                config.wait = Wait::Always;
                config.releases = true;
                config.heals = true;
            },
        ),
        trial(
            Mutant::RenewalsAfterExpiry,
            "renewals come after what is due has ended",
            None,
            |_| {},
        ),
    ]
}

fn leader() -> Vec<Trial> {
    vec![
        trial(
            Mutant::DeposedPulseAccepted,
            "the log takes a deposed leader's pulse, with its stamp",
            S4,
            one_election,
        ),
        trial(Mutant::RevokeByTimer, "a deposed leader's own timer ends a lease", S4, one_election),
        trial(Mutant::OldNoteKept, "a node that leads again goes on from its old note", S4, |c| {
            c.elections = 2;
        }),
        trial(
            Mutant::NewLeaderRestartsTtls,
            "a new leader starts every ttl afresh",
            L2,
            |config| {
                config.bound = true;
                config.elections = 1;
                config.clients = 1;
            },
        ),
        trial(Mutant::OnlyDuePulses, "pulses only when something is due", L2, |config| {
            config.bound = true;
            config.elections = 1;
            config.clients = 1;
        }),
        trial(
            Mutant::NoteAtElection,
            "the note is made at the election, not at the first applied entry",
            None,
            |config| {
                config.log = Log::Split { batch: 1 };
                config.elections = 1;
                config.clients = 1;
            },
        ),
        trial(Mutant::NoStepCap, "a frozen leader's clock takes the whole leap", None, |config| {
            config.clients = 1;
            frozen(config);
        }),
        trial(
            Mutant::CapCaughtUpLater,
            "what is above the cap is carried into the next leadership",
            S4,
            |config| {
                frozen(config);
                config.elections = 1;
            },
        ),
        trial(Mutant::StampWhenOpened, "a batch is stamped when it is opened", S4, |config| {
            config.log = Log::Split { batch: 2 };
            config.ttl_ms = 2 * TICK_MS;
            frozen(config);
        }),
    ]
}

fn node() -> Vec<Trial> {
    vec![
        trial(
            Mutant::DeposedAnswersRetry,
            "a deposed leader answers a repeated acquire from its replica",
            S4,
            one_election,
        ),
        trial(
            Mutant::DeposedAnswersRenew,
            "a deposed leader answers renewals by itself",
            S4,
            one_election,
        ),
        trial(
            Mutant::ReplyByIndex,
            "a proposal is answered with whatever was committed at its index",
            C1,
            |config| {
                config.log = Log::Split { batch: 1 };
                config.elections = 1;
            },
        ),
        trial(
            Mutant::NodeCancelsBrokenCall,
            "a node whose call broke cancels the claim",
            S4,
            two_messages,
        ),
    ]
}

fn client() -> Vec<Trial> {
    vec![
        trial(Mutant::TtlFromReceipt, "a client counts from when the answer came", S4, |_| {}),
        trial(Mutant::PushProves, "a push proves a ttl", S4, |config| {
            config.wait = Wait::Always;
        }),
        trial(
            Mutant::LatestAttemptProves,
            "a client counts from its latest attempt, whichever was answered",
            S4,
            two_messages,
        ),
        trial(Mutant::NoDriftMargin, "a client leaves no margin for the clocks", S4, |config| {
            *config = config.clone().with_drift();
        }),
        trial(
            Mutant::RefusalBelievedAtOnce,
            "a refusal is believed while other attempts are unanswered",
            S8,
            |config| {
                config.messages = 2;
                config.releases = true;
            },
        ),
        trial(
            Mutant::RetriesForEver,
            "a client repeats an id for longer than it is remembered",
            S7,
            |config| {
                config.messages = 2;
                config.ttl_ms = 2 * TICK_MS;
                config.memory_ms = 2 * TICK_MS;
                config.acquire_life = 1;
            },
        ),
        trial(
            Mutant::BelievesWhileReleasing,
            "a client acts on while its release is under way",
            S4,
            releasing,
        ),
    ]
}

fn store() -> Vec<Trial> {
    let stored = |writes, crashes, copies| {
        move |config: &mut Config| {
            config.store = Some(StoreConfig { writes, crashes });
            config.copies = copies;
            config.ttl_ms = 2 * TICK_MS;
        }
    };
    vec![
        trial(Mutant::UnfencedStore, "the store looks at no token", S6, stored(1, 0, 0)),
        trial(Mutant::SequenceIgnored, "the store looks at the token alone", S6, stored(2, 0, 1)),
        trial(Mutant::ReadDoesNotRaise, "a read does not raise the mark", S6, stored(1, 0, 0)),
        trial(Mutant::MarkNotDurable, "the mark is kept in memory", S5, stored(1, 1, 0)),
        trial(
            Mutant::AnswerBeforeSync,
            "a write is answered before it is durable",
            S5,
            stored(1, 1, 0),
        ),
    ]
}

fn two_messages(config: &mut Config) {
    config.messages = 2;
}

fn releasing(config: &mut Config) {
    config.releases = true;
}

fn one_election(config: &mut Config) {
    config.elections = 1;
}

fn frozen(config: &mut Config) {
    config.freezes = true;
    config.cap_ms = TICK_MS;
}

fn bound_waiting(config: &mut Config) {
    config.bound = true;
    config.wait = Wait::Always;
    config.client_crashes = 1;
    config.grants = GrantAnswer::Push;
}
