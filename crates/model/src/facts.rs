//! What a snapshot says, as plain data.
//!
//! A snapshot is the whole state: what is restored from it continues exactly as the state it was taken
//! from (I5, and the core's own tests). So a key made of *all* that a snapshot says can forget nothing
//! by accident; what it leaves out, it leaves out here, by name:
//!
//! * settings, resource, holder and ttls: constant in a run;
//! * the revision, and the revisions that are ages: only their order decides anything, and claims are
//!   written in that order;
//! * since when a claim waits or is held: a wait is always repeated with the length it began with, so
//!   its end says the same, and how long a lease was held is told to humans only;
//! * the embargo: zero, nothing is restored from a backup here;
//! * whether ends were left to a later entry: never, one ends more than there is here. That is played
//!   through by the core's own tests and by the simulator.
//!
//! The reader is strict: a snapshot in a form that it does not know is a panic, never a wrong key.

use std::ops::Range;

/// A live claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClaimFact {
    /// The request's number: see [`crate::world::number`].
    pub(crate) request: u8,
    pub(crate) deadline: u64,
    pub(crate) phase: PhaseFact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseFact {
    Waiting { until: u64 },
    Held { token: u64 },
}

impl ClaimFact {
    /// The last moment at which anything about it can be due.
    pub(crate) fn last_ms(&self) -> u64 {
        match self.phase {
            PhaseFact::Waiting { until } => until.max(self.deadline),
            PhaseFact::Held { .. } => self.deadline,
        }
    }

    pub(crate) fn token(&self) -> Option<u64> {
        match self.phase {
            PhaseFact::Held { token } => Some(token),
            PhaseFact::Waiting { .. } => None,
        }
    }
}

/// A request id that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedFact {
    pub(crate) request: u8,
    pub(crate) why: u8,
    pub(crate) at: u64,
}

/// All of a snapshot that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) now: u64,
    pub(crate) next_token: u64,
    /// In order of age.
    pub(crate) claims: Vec<ClaimFact>,
    /// In order of time.
    pub(crate) ended: Vec<EndedFact>,
    /// Where the bytes have the token counter and the list of remembered ids: two mutants rewrite them.
    pub(crate) next_token_bytes: Range<usize>,
    pub(crate) ended_bytes: Range<usize>,
}

impl Facts {
    /// The claim that is held. (There is one resource.)
    pub(crate) fn lease(&self) -> Option<&ClaimFact> {
        self.claims.iter().find(|claim| claim.token().is_some())
    }

    pub(crate) fn claim(&self, request: u8) -> Option<&ClaimFact> {
        self.claims.iter().find(|claim| claim.request == request)
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &ClaimFact> {
        self.claims.iter().filter(|claim| claim.token().is_none())
    }

    pub(crate) fn read(snapshot: &[u8]) -> Self {
        let mut reader = Reader { bytes: snapshot, at: 0 };
        assert_eq!(reader.take(2), [4, 2], "a snapshot in format 2");
        for _setting in 0..8 {
            reader.number();
        }
        let now = reader.number();
        assert_eq!(reader.byte(), 0, "an entry ends all that is due in so small a world");
        let _revision = reader.number();
        let start = reader.at;
        let next_token = reader.number();
        let next_token_bytes = start..reader.at;
        let _embargo = reader.number();
        let claims = (0..reader.number()).map(|_| reader.claim()).collect();
        let start = reader.at;
        let ended = (0..reader.number()).map(|_| reader.ended()).collect();
        assert_eq!(reader.at, snapshot.len(), "a snapshot ends with the remembered ids");
        let ended_bytes = start..reader.at;
        Self { now, next_token, claims, ended, next_token_bytes, ended_bytes }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    /// LEB128.
    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    fn text(&mut self) {
        let length = usize::try_from(self.number()).expect("a short text");
        self.take(length);
    }

    /// All sixteen bytes of a request id are its number.
    fn request(&mut self) -> u8 {
        self.take(16)[0]
    }

    fn claim(&mut self) -> ClaimFact {
        self.text();
        self.text();
        let request = self.request();
        let [_age, _ttl_asked, _ttl, deadline] = std::array::from_fn(|_| self.number());
        let phase = match self.byte() {
            1 => {
                let [_since, until] = std::array::from_fn(|_| self.number());
                PhaseFact::Waiting { until }
            }
            2 => {
                let [token, _since] = std::array::from_fn(|_| self.number());
                PhaseFact::Held { token }
            }
            other => panic!("phase {other} is not in format 1"),
        };
        ClaimFact { request, deadline, phase }
    }

    fn ended(&mut self) -> EndedFact {
        EndedFact { request: self.request(), why: self.byte(), at: self.number() }
    }
}

/// LEB128, for the mutants that rewrite a number.
pub(crate) fn number_bytes(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
