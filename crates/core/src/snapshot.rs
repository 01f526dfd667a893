//! The whole state as bytes.
//!
//! Claims are written in order of age and remembered ids in order of time, so the bytes depend on
//! what was applied and on nothing else, such as slots that a restart deals anew (I5). Indexes and
//! queues are not written: they follow from the claims.

use alloc::vec::Vec;

use leasehold_types::{BadField, LeaseTime};

use crate::claim::{Claim, Phase};
use crate::claims::Claims;
use crate::codec::{DecodeError, Document, Reader, Writer, bad};
use crate::fields::Field;
use crate::memory::{EndedId, Memory, Order};
use crate::slab::Slab;
use crate::state::{Counters, NOW_MAX};
use crate::{LeaseState, Settings, invariants};

/// The state at one revision, untouched by what is applied later. Made by [`LeaseState::freeze`].
#[derive(Clone, Debug)]
pub struct FrozenState {
    settings: Settings,
    counters: Counters,
    claims: Slab,
    ended: Order,
}

impl FrozenState {
    /// The snapshot's bytes. Takes about a microsecond per claim: call it on another thread.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(Document::Snapshot);
        writer.field(&self.settings);
        writer.field(&self.counters);
        let mut claims: Vec<&Claim> = self.claims.iter().map(|(_, claim)| claim).collect();
        claims.sort_unstable_by_key(|claim| claim.age);
        writer.list(claims.into_iter(), |writer, claim| claim.write(writer));
        let ended: Vec<&EndedId> = self.ended.iter().collect();
        writer.list(ended.into_iter(), |writer, id| id.write(writer));
        writer.finish()
    }
}

impl LeaseState {
    /// Takes hold of everything that a snapshot needs, by copying one pointer per 16 claims. `apply`
    /// may go on at once, while [`FrozenState::encode`] works elsewhere.
    pub fn freeze(&self) -> FrozenState {
        FrozenState {
            settings: self.settings.clone(),
            counters: self.counters.clone(),
            claims: self.claims.freeze(),
            ended: self.memory.freeze(),
        }
    }

    /// The snapshot's bytes: the same on every node that applied the same log entries (I5).
    pub fn snapshot(&self) -> Vec<u8> {
        self.freeze().encode()
    }

    /// Reads a snapshot. What comes back continues exactly as the state it was taken from.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but what [`Self::snapshot`] writes, and for a state that breaks
    /// an invariant. Whether the bytes are those that were stored is for the caller's checksum.
    pub fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(Document::Snapshot, bytes)?;
        let (settings, counters) = (reader.field()?, reader.field()?);
        let claims = read_claims(&mut reader)?;
        let memory = read_memory(&mut reader, &settings)?;
        reader.finish()?;
        let state = Self { settings, counters, claims, memory };
        match state.broken_invariants().first() {
            None => Ok(state),
            Some(name) => Err(DecodeError::BrokenInvariant { name }),
        }
    }
}

/// Refuses what [`Claims`] is never asked to take in; the other invariants are checked afterwards.
fn read_claims(reader: &mut Reader<'_>) -> Result<Claims, DecodeError> {
    let mut claims = Claims::default();
    let mut last = None;
    for _ in 0..reader.length("claims", Claim::BYTES_MIN)? {
        let claim: Claim = reader.field()?;
        let lease = claims.resource(claim.resource.as_str()).and_then(|resource| resource.lease);
        let token_again = claim.token().is_some_and(|token| claims.with_token(token).is_some());
        let clashes = [
            (invariants::I5, last.is_some_and(|last| claim.age <= last)),
            (invariants::I4, claims.with_request(&claim.request).is_some()),
            (invariants::I2, token_again),
            (invariants::I6, claim.token().is_some() && lease.is_some()),
        ];
        if let Some((name, _)) = clashes.into_iter().find(|(_, clashes)| *clashes) {
            return Err(DecodeError::BrokenInvariant { name });
        }
        last = Some(claim.age);
        claims.insert(claim);
    }
    Ok(claims)
}

fn read_memory(reader: &mut Reader<'_>, settings: &Settings) -> Result<Memory, DecodeError> {
    let mut memory = Memory::default();
    let length = reader.length("ended ids", EndedId::BYTES_MIN)?;
    if length as u64 > settings.ended_memory_max {
        return Err(bad("number of ended ids", length));
    }
    for _ in 0..length {
        let id: EndedId = reader.field()?;
        if memory.why(&id.request).is_some() {
            return Err(DecodeError::BrokenInvariant { name: invariants::I4 });
        }
        memory.remember(id, settings.ended_memory_max);
    }
    Ok(memory)
}

impl Field for Settings {
    fn write(&self, writer: &mut Writer) {
        writer.number(self.claims_max);
        writer.number(self.waiters_per_resource_max);
        writer.field(&self.ttl_min);
        writer.field(&self.ttl_max);
        writer.number(self.ended_memory_ms);
        writer.number(self.ended_memory_max);
        writer.number(self.stamp_interval_ms);
        writer.number(self.ends_per_entry);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let settings = Self {
            claims_max: reader.number("claims_max")?,
            waiters_per_resource_max: reader.number("waiters_per_resource_max")?,
            ttl_min: reader.field()?,
            ttl_max: reader.field()?,
            ended_memory_ms: reader.number("ended_memory_ms")?,
            ended_memory_max: reader.number("ended_memory_max")?,
            stamp_interval_ms: reader.number("stamp_interval_ms")?,
            ends_per_entry: reader.number("ends_per_entry")?,
        };
        let refused = |why: BadField| bad("settings", why);
        settings.check().map_err(refused).map(|()| settings)
    }
}

impl Field for Counters {
    fn write(&self, writer: &mut Writer) {
        writer.field(&self.now);
        writer.byte(u8::from(self.ends_left.is_some()));
        if let Some((due, age)) = &self.ends_left {
            writer.field(due);
            writer.field(age);
        }
        writer.field(&self.revision);
        writer.field(&self.next_token);
        writer.field(&self.embargo);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let now: LeaseTime = reader.field()?;
        if now > NOW_MAX {
            return Err(bad("lease time", now));
        }
        Ok(Self {
            now,
            ends_left: match reader.byte("ends_left")? {
                0 => None,
                1 => Some((reader.field()?, reader.field()?)),
                other => return Err(bad("ends_left", other)),
            },
            revision: reader.field()?,
            next_token: reader.field()?,
            embargo: reader.field()?,
        })
    }
}

impl Field for Claim {
    const BYTES_MIN: usize = 26;

    fn write(&self, writer: &mut Writer) {
        let Self { resource, holder, request, age, ttl_asked, ttl, deadline, phase } = self;
        writer.field(resource);
        writer.field(holder);
        writer.field(request);
        writer.field(age);
        writer.field(ttl_asked);
        writer.field(ttl);
        writer.field(deadline);
        writer.field(phase);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            resource: reader.field()?,
            holder: reader.field()?,
            request: reader.field()?,
            age: reader.field()?,
            ttl_asked: reader.field()?,
            ttl: reader.field()?,
            deadline: reader.field()?,
            phase: reader.field()?,
        })
    }
}

/// Since format 1: append, never renumber.
impl Field for Phase {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Waiting { since, until } => {
                writer.byte(1);
                writer.field(since);
                writer.field(until);
            }
            Self::Held { token, since } => {
                writer.byte(2);
                writer.field(token);
                writer.field(since);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.byte("standing")? {
            1 => Self::Waiting { since: reader.field()?, until: reader.field()? },
            2 => Self::Held { token: reader.field()?, since: reader.field()? },
            other => return Err(bad("standing", other)),
        })
    }
}

impl Field for EndedId {
    const BYTES_MIN: usize = 18;

    fn write(&self, writer: &mut Writer) {
        let Self { request, why, at } = self;
        writer.field(request);
        writer.field(why);
        writer.field(at);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { request: reader.field()?, why: reader.field()?, at: reader.field()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Command};
    use leasehold_types::Refusal;

    #[test]
    fn lease_time_may_stand_at_its_end_and_not_behind_it() {
        let mut state = LeaseState::new(Settings::default());
        for (now, is_read) in [(NOW_MAX.0, true), (NOW_MAX.0 + 1, false)] {
            state.counters.now = LeaseTime(now);
            assert_eq!(LeaseState::restore(&state.snapshot()).is_ok(), is_read, "{now}");
        }
        let mut state = LeaseState::new(Settings::default());
        for (now, answer) in
            [(NOW_MAX.0, Answer::Pulsed), (NOW_MAX.0 + 1, Answer::Refused(Refusal::Exhausted))]
        {
            let applied = state.apply(LeaseTime(now), &[Command::Pulse]);
            assert_eq!(applied.outcomes[0].answer, answer, "{now}");
        }
    }
}
