//! The state machine.

use alloc::vec::Vec;

use leasehold_types::{BadField, FencingToken, LeaseTime, Revision};

use crate::{Applied, Command, DecodeError, ResourceView, Settings};

/// Every live claim of a cluster, and the counters.
#[derive(Clone, Debug)]
pub struct LeaseState {
    settings: Settings,
}

/// What a snapshot is made of, taken without stalling `apply`.
#[derive(Clone, Debug)]
pub struct FrozenState {}

impl FrozenState {
    /// The snapshot's bytes. As long as this takes, it stalls nobody: call it on another thread.
    pub fn encode(&self) -> Vec<u8> {
        unimplemented!()
    }
}

impl LeaseState {
    /// An empty cluster.
    ///
    /// # Panics
    /// When the settings do not pass [`Settings::check`].
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
    /// Applies one log entry.
    pub fn apply(&mut self, _at: LeaseTime, _batch: &[Command]) -> Applied {
        unimplemented!()
    }
    /// Lease time.
    pub fn now(&self) -> LeaseTime {
        unimplemented!()
    }
    /// When the leader should propose `Pulse` if nothing else happens.
    pub fn next_deadline(&self) -> Option<LeaseTime> {
        unimplemented!()
    }
    /// Whether lease time matters to anybody, so that stamps must be committed periodically.
    pub fn has_live_claims_or_memory(&self) -> bool {
        unimplemented!()
    }
    /// The revision.
    pub fn revision(&self) -> Revision {
        unimplemented!()
    }
    /// The token that the next grant will carry.
    pub fn next_token(&self) -> u64 {
        unimplemented!()
    }
    /// Live claims, waiting and held.
    pub fn claims_len(&self) -> usize {
        unimplemented!()
    }
    /// The cluster's bounds.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// One resource as it stands; `None` when it is free.
    pub fn get(&self, _resource: &str) -> Option<ResourceView> {
        unimplemented!()
    }
    /// Resources with live claims whose names start with `prefix` and come after `after`.
    pub fn list(&self, _prefix: &str, _after: Option<&str>, _limit: usize) -> Vec<ResourceView> {
        unimplemented!()
    }
    /// Takes what a snapshot needs in time that hardly depends on the number of claims.
    pub fn freeze(&self) -> FrozenState {
        unimplemented!()
    }
    /// `freeze().encode()`.
    pub fn snapshot(&self) -> Vec<u8> {
        self.freeze().encode()
    }
    /// Reads a snapshot.
    ///
    /// # Errors
    /// [`DecodeError`] for bytes that no snapshot consists of.
    pub fn restore(_bytes: &[u8]) -> Result<Self, DecodeError> {
        unimplemented!()
    }
    /// Reopens a restored backup.
    ///
    /// # Errors
    /// [`BadField`] naming `above`.
    pub fn reopen_after_restore(self, _above: FencingToken) -> Result<Self, BadField> {
        unimplemented!()
    }
    /// Names of the invariants that do not hold.
    pub fn broken_invariants(&self) -> Vec<&'static str> {
        unimplemented!()
    }
}
