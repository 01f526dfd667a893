//! The rule against a model that remembers everything it was ever sent.

use leasehold_fence::{Admitted, Floor, Mark, Stale};
use leasehold_types::FencingToken;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Message {
    Write { token: u64, sequence: u64 },
    Read { token: u64 },
    RaiseFloor { to: u64 },
}

fn message() -> impl Strategy<Value = Message> {
    let token = prop_oneof![8 => 1..8_u64, 1 => (u64::MAX - 2)..=u64::MAX];
    let sequence = prop_oneof![8 => 0..5_u64, 1 => (u64::MAX - 1)..=u64::MAX];
    prop_oneof![
        12 => (token.clone(), sequence).prop_map(|(token, sequence)| Message::Write { token, sequence }),
        3 => token.prop_map(|token| Message::Read { token }),
        1 => (0..6_u64).prop_map(|to| Message::RaiseFloor { to }),
    ]
}

/// Remembers every pair it let in, and looks through all of them each time.
#[derive(Default)]
struct Model {
    seen: Vec<(u64, u64)>,
    floor: u64,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Accepted,
    Repeated,
    StaleToken,
    StaleSequence,
    BelowFloor,
}

impl Model {
    fn send(&mut self, token: u64, sequence: u64) -> Verdict {
        if token < self.floor {
            return Verdict::BelowFloor;
        }
        if self.seen.iter().any(|&(t, _)| t > token) {
            return Verdict::StaleToken;
        }
        let later = self.seen.iter().filter(|&&(t, _)| t == token).map(|&(_, s)| s).max();
        let verdict = match later {
            _ if sequence == 0 => Verdict::Accepted,
            Some(latest) if latest > sequence => Verdict::StaleSequence,
            Some(latest) if latest == sequence => Verdict::Repeated,
            _ => Verdict::Accepted,
        };
        if verdict == Verdict::Accepted {
            self.seen.push((token, sequence));
        }
        verdict
    }
}

/// The storage under test: a floor and a mark, and nothing else.
#[derive(Default)]
struct Storage {
    floor: Floor,
    mark: Mark,
}

impl Storage {
    fn send(&mut self, message: Message) -> Verdict {
        let outcome = match message {
            Message::RaiseFloor { to } => {
                self.raise_floor(to);
                return Verdict::Accepted;
            }
            Message::Write { token, sequence } => self.write(number(token), sequence),
            Message::Read { token } => self.read(number(token)),
        };
        match outcome {
            Ok(Admitted::Accept(mark)) => {
                assert!(mark >= self.mark, "F1: {} after {}", mark, self.mark);
                self.mark = mark;
                Verdict::Accepted
            }
            Ok(Admitted::Repeat) => Verdict::Repeated,
            Err(Stale::Token { .. }) => Verdict::StaleToken,
            Err(Stale::Sequence { .. }) => Verdict::StaleSequence,
            Err(Stale::BelowFloor { .. }) => Verdict::BelowFloor,
        }
    }

    /// Drops the mark whenever the floor allows it, as a store that saves space would.
    fn raise_floor(&mut self, to: u64) {
        self.floor = self.floor.raised_to(Floor::new(to));
        if self.mark.to_parts().0 < self.floor.get() {
            self.mark = Mark::NONE;
        }
    }

    fn write(&self, token: FencingToken, sequence: u64) -> Result<Admitted, Stale> {
        self.floor.admit(token)?;
        self.mark.admit(token, sequence)
    }

    fn read(&self, token: FencingToken) -> Result<Admitted, Stale> {
        self.floor.admit(token)?;
        self.mark.raise(token).map(Admitted::Accept)
    }
}

fn number(token: u64) -> FencingToken {
    FencingToken::new(token).expect("the strategy makes no token 0")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_mark_decides_as_if_everything_ever_seen_were_remembered(
        messages in prop::collection::vec(message(), 1..60)
    ) {
        let (mut storage, mut model) = (Storage::default(), Model::default());
        for message in messages {
            let expected = match message {
                Message::Write { token, sequence } => model.send(token, sequence),
                Message::Read { token } => model.send(token, 0),
                Message::RaiseFloor { to } => {
                    model.floor = model.floor.max(to);
                    Verdict::Accepted
                }
            };
            prop_assert_eq!(storage.send(message), expected, "{:?}", message);
        }
    }

    #[test]
    fn a_mark_survives_being_stored(token in 1..=u64::MAX, sequence: u64) {
        let mark = Mark::new(number(token), sequence);
        let (stored_token, stored_sequence) = mark.to_parts();
        prop_assert_eq!(Mark::from_parts(stored_token, stored_sequence), Some(mark));
    }

    #[test]
    fn once_a_token_was_admitted_no_smaller_one_ever_is(
        tokens in prop::collection::vec(1..20_u64, 2..40)
    ) {
        let (mut mark, mut highest) = (Mark::NONE, 0);
        for token in tokens {
            match mark.admit(number(token), 0) {
                Ok(Admitted::Accept(next)) => {
                    prop_assert!(token >= highest, "{token} after {highest}");
                    (mark, highest) = (next, token);
                }
                Ok(Admitted::Repeat) => prop_assert!(false, "sequence 0 is never a repeat"),
                Err(_) => prop_assert!(token < highest, "{token} refused after {highest}"),
            }
        }
    }
}
