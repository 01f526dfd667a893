//! Everything that was seen, in order, as one number: two runs that saw the same have the same.
//!
//! Numbers are mixed as they are, for to format every event would take longer than to simulate it. A
//! text is made only of what is rare.

use std::time::Duration;

use leasehold_raft::{AppliedBatch, Change};
use leasehold_types::{ClaimAnswer, Event, EventKind, FencingToken, RequestId, Standing};

use super::log_on_disk::Kept;
use super::seen::{BeliefSeen, ReadSeen, Seen, StateSeen, StoredSeen};

/// See the module. For comparing what should be equal, not against an adversary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

/// The same on every machine.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut fingerprint = Fingerprint::default();
    fingerprint.bytes(bytes);
    fingerprint.number()
}

impl Fingerprint {
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// One event.
    pub(crate) fn see(&mut self, at: Duration, seen: &Seen) {
        self.time(at);
        match seen {
            Seen::Fault(what) => self.text(1, what),
            Seen::Booted { node, outcome: Ok(_) } => self.all([2, *node]),
            Seen::Booted { node, outcome: Err(why) } => self.node(3, *node).text(3, why),
            Seen::Failed { node, why } => self.node(4, *node).text(4, why),
            Seen::DiskHurt { node } => self.all([5, *node]),
            Seen::LeftInOrder { node } => self.all([6, *node]),
            Seen::Applied { node, change } => self.node(7, *node).change(change),
            Seen::State { node, state } => self.node(8, *node).state(state),
            Seen::Stands { node, term, role, applied, serves } => {
                let applied = applied.map_or(0, |applied| applied + 1);
                self.all([9, *node, *term, *role as u64, applied, u64::from(*serves)]);
            }
            Seen::Wished { client, wish, resource } => {
                self.all([10, *client, *wish]);
                self.bytes(resource.as_str().as_bytes());
            }
            Seen::Asked { client, wish, request, resource } => {
                self.node(11, *client).node(11, *wish).request(*request);
                self.bytes(resource.as_str().as_bytes());
            }
            Seen::Answered { client, claim } => self.node(12, *client).claim(claim),
            Seen::Granted { client, wish, token, belief } => {
                self.all([13, *client, *wish, token.get()]);
                self.belief(belief);
            }
            Seen::Proven { client, token, belief } => {
                self.all([14, *client, token.get()]);
                self.belief(belief);
            }
            Seen::Lost { client, token, reason } => {
                self.all([15, *client, token.get()]);
                self.text(15, &format!("{reason:?}"));
            }
            Seen::NotGranted { client, wish, error } => {
                self.all([16, *client, *wish]);
                self.text(16, &error.to_string());
            }
            Seen::Checked { client, resource, token } => {
                self.all([17, *client, token.get()]);
                self.bytes(resource.as_str().as_bytes());
            }
            Seen::WriteSent { client, write, resource, token } => {
                self.all([18, *client, *write, token.get()]);
                self.bytes(resource.as_str().as_bytes());
            }
            Seen::WriteAnswered { client, write, accepted, attempts } => {
                self.all([19, *client, *write, u64::from(*accepted), u64::from(*attempts)]);
            }
            Seen::Stored { resource, stored, put } => {
                self.all([20, u64::from(*put)]);
                self.bytes(resource.as_str().as_bytes());
                self.stored(stored);
            }
            Seen::StoreOpened { contents } => {
                self.all([21, contents.len() as u64]);
                for (resource, stored) in contents {
                    self.bytes(resource.as_str().as_bytes());
                    self.stored(stored);
                }
            }
            Seen::StoreFailed { why } => self.text(22, why),
            Seen::LogsOnDisk { index, logs } => {
                self.all([25, *index]);
                for (node, kept) in logs {
                    self.node(25, *node).kept(*kept);
                }
            }
            Seen::ReadAsked { client, read } => self.all([23, *client, *read]),
            Seen::ReadAnswered { client, read, answer } => {
                self.all([24, *client, *read]);
                self.read(answer);
            }
        }
    }

    fn mix(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn all<const N: usize>(&mut self, numbers: [u64; N]) {
        numbers.into_iter().for_each(|number| self.mix(number));
    }

    fn node(&mut self, kind: u64, id: u64) -> &mut Self {
        self.all([kind, id]);
        self
    }

    fn time(&mut self, at: Duration) {
        self.all([at.as_secs(), u64::from(at.subsec_nanos())]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.mix(bytes.len() as u64);
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes(word.try_into().expect("a chunk of eight bytes")));
        }
        words.remainder().iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn text(&mut self, kind: u64, text: &str) {
        self.mix(kind);
        self.bytes(text.as_bytes());
    }

    fn request(&mut self, request: RequestId) {
        self.bytes(request.as_bytes());
    }

    fn kept(&mut self, kept: Kept) {
        match kept {
            Kept::Entry(term) => self.all([0, term]),
            Kept::Purged => self.mix(1),
            Kept::Nothing => self.mix(2),
            Kept::Unasked => self.mix(3),
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Batch(AppliedBatch { log_index, revision, at, events }) => {
                self.all([1, *log_index, revision.0, at.0, events.len() as u64]);
                events.iter().for_each(|event| self.event(event));
            }
            Change::SnapshotInstalled { log_index, revision, at } => {
                self.all([2, *log_index, revision.0, at.0]);
            }
        }
    }

    fn event(&mut self, event: &Event) {
        let Event { revision, at, resource, holder, request, kind } = event;
        self.all([revision.0, at.0]);
        self.bytes(resource.as_str().as_bytes());
        self.bytes(holder.as_str().as_bytes());
        self.request(*request);
        match kind {
            EventKind::Granted { token, ttl, deadline } => {
                self.all([1, token.get(), ttl.as_ms(), deadline.0]);
            }
            EventKind::Queued { place, ttl } => self.all([2, *place, ttl.as_ms()]),
            EventKind::Ended { token, why } => {
                self.all([3, token.map_or(0, FencingToken::get), *why as u64]);
            }
        }
    }

    fn state(&mut self, state: &StateSeen) {
        // Whether ends were left is in the digest.
        let StateSeen { revision, digest, broken, claims, ended, next_token, ends_left: _ } = state;
        self.all([revision.0, *digest, *claims as u64, *ended as u64, next_token.get()]);
        broken.iter().for_each(|what| self.text(0, what));
    }

    fn claim(&mut self, claim: &ClaimAnswer) {
        let ClaimAnswer { resource, holder, request, ttl, standing, valid_for_ms } = claim;
        self.bytes(resource.as_str().as_bytes());
        self.bytes(holder.as_str().as_bytes());
        self.request(*request);
        let standing = match standing {
            Standing::Waiting { place } => [1, *place],
            Standing::Held { token } => [2, token.get()],
        };
        self.all([ttl.as_ms(), standing[0], standing[1], *valid_for_ms]);
    }

    fn belief(&mut self, belief: &BeliefSeen) {
        self.bytes(belief.resource.as_str().as_bytes());
        self.time(belief.remaining());
    }

    fn stored(&mut self, stored: &StoredSeen) {
        let StoredSeen { mark, written_under, value, write } = stored;
        let (token, sequence) = mark.to_parts();
        let under = written_under.map_or(0, FencingToken::get);
        self.all([token, sequence, under, *value, *write]);
    }

    fn read(&mut self, answer: &ReadSeen) {
        let ReadSeen { resource, revision, token } = answer;
        self.bytes(resource.as_str().as_bytes());
        self.all([revision.0, token.map_or(0, FencingToken::get)]);
    }
}
