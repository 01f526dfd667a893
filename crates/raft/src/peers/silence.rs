//! Whether a peer answers heartbeats, for whoever reads the log: said once when it has not for as long
//! as a follower waits before it stands for election, and once when it answers again. A single
//! heartbeat that came late says nothing, and a dead peer would say the same twenty times a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use openraft::Instant;

/// See the module. Starts with the first heartbeat.
#[derive(Debug)]
pub(crate) struct Silence<I> {
    patience: Duration,
    state: Mutex<State<I>>,
}

#[derive(Clone, Copy, Debug)]
enum State<I> {
    /// Since when no answer is missing, as far as is known.
    Answers { last: Option<I> },
    /// It was said that it does not answer.
    Told { last: I },
}

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// The peer has been silent for so long.
    Silent(Duration),
    /// It answers again, after so long.
    AnswersAgain(Duration),
}

impl<I: Instant> Silence<I> {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, state: Mutex::new(State::Answers { last: None }) }
    }

    /// A heartbeat was answered, or not. Returns what there is to say now.
    pub(crate) fn note(&self, now: I, answered: bool) -> Option<Remark> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, remark) = match (*state, answered) {
            (State::Answers { .. }, true) => (State::Answers { last: Some(now) }, None),
            (State::Told { last }, true) => {
                let silence = now.saturating_duration_since(last);
                (State::Answers { last: Some(now) }, Some(Remark::AnswersAgain(silence)))
            }
            (State::Answers { last }, false) => {
                let last = last.unwrap_or(now);
                let silence = now.saturating_duration_since(last);
                match silence >= self.patience {
                    true => (State::Told { last }, Some(Remark::Silent(silence))),
                    false => (State::Answers { last: Some(last) }, None),
                }
            }
            (told @ State::Told { .. }, false) => (told, None),
        };
        *state = next;
        remark
    }
}

#[cfg(test)]
mod tests {
    use openraft_rt::AsyncRuntime;
    use openraft_rt_sim::SimRuntime;

    use super::*;

    type At = <SimRuntime as AsyncRuntime>::Instant;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What is said of heartbeats at these times, answered or not.
    fn remarks(heartbeats: &[(u64, bool)]) -> Vec<(u64, Remark)> {
        SimRuntime::with_seed(1).block_on(async {
            let (began, silence) = (At::now(), Silence::new(ms(300)));
            let heard = heartbeats.iter().map(|&(at, answered)| {
                silence.note(began + ms(at), answered).map(|remark| (at, remark))
            });
            heard.flatten().collect()
        })
    }

    #[test]
    fn a_peer_that_misses_a_heartbeat_now_and_then_is_not_spoken_of() {
        let missed = [(0, true), (50, false), (100, true), (350, false), (399, false), (400, true)];
        assert_eq!(remarks(&missed), []);
    }

    #[test]
    fn a_silent_peer_is_spoken_of_once_and_once_more_when_it_answers() {
        let dead = [(0, true), (50, false), (300, false), (350, false), (9_000, false)];
        assert_eq!(remarks(&dead), [(300, Remark::Silent(ms(300)))]);
        let back = [&dead[..], &[(9_050, true), (9_100, true), (9_150, false)]].concat();
        let again = (9_050, Remark::AnswersAgain(ms(9_050)));
        assert_eq!(remarks(&back), [(300, Remark::Silent(ms(300))), again]);
    }

    #[test]
    fn a_peer_that_never_answered_is_silent_from_the_first_heartbeat_on() {
        let never = [(1_000, false), (1_299, false), (1_300, false), (1_350, false)];
        assert_eq!(remarks(&never), [(1_300, Remark::Silent(ms(300)))]);
    }
}
