//! What a client does: the rules of the client library, in small.

use crate::config::Config;
use crate::happening::Happening;
use crate::mutant::Mutant;
use crate::trust::proven_ns;
use crate::world::{Body, Claim, Intent, Message, Reply, Told, World, number};

impl Claim {
    fn new(ordinal: u8, waits: bool) -> Self {
        Self {
            ordinal,
            waits,
            since_first: 0,
            attempts: 1,
            told: Told::Nothing,
            trusted_ns: 0,
            intent: Intent::Keep,
            writes: 0,
            is_writing: false,
            since_latest: 0,
        }
    }

    /// Whether it may repeat its `Acquire`: nothing was answered, and the id is young enough.
    pub(crate) fn may_retry(&self, config: &Config) -> bool {
        let young = self.since_first <= config.retry_life;
        let is_open = self.told == Told::Nothing && self.intent == Intent::Keep;
        is_open && (young || config.mutant == Mutant::RetriesForEver)
    }

    /// Whether it may give up before it was granted. A client whose id is too old to repeat must.
    pub(crate) fn may_give_up(&self, config: &Config) -> bool {
        let is_open = !matches!(self.told, Told::Held { .. }) && self.intent == Intent::Keep;
        is_open && (config.cancels || self.since_first > config.retry_life)
    }

    /// Whether it may renew: only what was once answered is renewed.
    pub(crate) fn may_renew(&self) -> bool {
        self.told != Told::Nothing && self.intent == Intent::Keep
    }

    /// Learns something, and forgets what no longer matters then.
    fn learn(&mut self, told: Told) {
        (self.told, self.attempts, self.since_first) = (told, 1, 0);
    }
}

impl World {
    pub(crate) fn begin(&mut self, client: usize, waits: bool) {
        let ordinal = self.clients[client].begun;
        self.clients[client].begun += 1;
        self.clients[client].claim = Some(Claim::new(ordinal, waits));
        self.ghost.fate(number(client, ordinal)).asked_after = self.ghost.answered;
        self.send(Message { client, ordinal, age: 0, body: Body::Acquire { waits } });
    }

    pub(crate) fn retry(&mut self, client: usize) {
        let claim = self.claim(client);
        (claim.attempts, claim.since_latest) = (2, 0);
        let (ordinal, waits) = (claim.ordinal, claim.waits);
        self.send(Message { client, ordinal, age: 0, body: Body::Acquire { waits } });
    }

    pub(crate) fn renew(&mut self, client: usize) {
        let claim = self.claim(client);
        claim.since_latest = 0;
        let (ordinal, body) = match claim.told {
            Told::Held { token } => (claim.ordinal, Body::RenewToken { token }),
            _ => (claim.ordinal, Body::RenewRequest),
        };
        self.send(Message { client, ordinal, age: 0, body });
    }

    pub(crate) fn give_up(&mut self, client: usize) {
        self.claim(client).intent = Intent::Cancel;
        self.claim(client).trusted_ns = 0;
    }

    /// It stops believing, then it releases.
    pub(crate) fn stop(&mut self, config: &Config, client: usize) {
        let claim = self.claim(client);
        claim.intent = Intent::Release;
        if config.mutant != Mutant::BelievesWhileReleasing {
            claim.trusted_ns = 0;
        }
    }

    /// Sends, or sends again, the release or cancel that it is about.
    pub(crate) fn end(&mut self, client: usize) {
        let claim = self.claim(client);
        let body = match (claim.intent, claim.told) {
            (Intent::Release, Told::Held { token }) => Body::Release { token },
            _ => Body::Cancel,
        };
        let ordinal = claim.ordinal;
        self.send(Message { client, ordinal, age: 0, body });
    }

    pub(crate) fn crash_client(&mut self, client: usize) {
        self.left.client_crashes -= 1;
        if self.believes(client).is_some() {
            self.happened.note(Happening::ClientCrashed);
        }
        self.forget(client);
    }

    /// The claim is over for its client: nobody reads what comes for it now.
    fn forget(&mut self, client: usize) {
        self.clients[client].claim = None;
        self.wire.retain(|message| message.client != client || message.body.is_request());
    }

    pub(crate) fn receive(&mut self, config: &Config, message: &Message) {
        let &Message { client, ordinal, age, body } = message;
        let Body::Reply(reply) = body else { unreachable!("requests go to leaders") };
        let elapsed_ms = u64::from(age) * self.rates.clients[client];
        let latest_ms = self.rates.clients[client];
        let Some(claim) = self.claim_mut(client, ordinal) else { return };
        let elapsed_ms = match config.mutant {
            Mutant::LatestAttemptProves => u64::from(claim.since_latest) * latest_ms,
            _ => elapsed_ms,
        };
        match reply {
            Reply::Held { token, valid_for_ms } => {
                let proven = proven_ns(config, valid_for_ms, elapsed_ms);
                self.hold(client, token, proven);
            }
            Reply::Granted { token } => {
                let proven = match config.mutant {
                    Mutant::PushProves => proven_ns(config, config.ttl_ms, 0),
                    _ => 0,
                };
                if !matches!(claim.told, Told::Held { .. }) {
                    self.happened.note(Happening::PushProvesNothing);
                    self.hold(client, token, proven);
                }
            }
            Reply::Waiting if claim.told == Told::Nothing => claim.learn(Told::Waiting),
            Reply::Refused if claim.told == Told::Nothing && claim.intent == Intent::Keep => {
                let alone = claim.attempts == 1 || config.mutant == Mutant::RefusalBelievedAtOnce;
                if alone { self.over(client) } else { self.give_up(client) }
            }
            Reply::Waiting | Reply::Refused => {}
            Reply::Ended | Reply::NotHolder | Reply::Released | Reply::Cancelled => {
                self.over(client);
            }
        }
    }

    /// It was told that it holds. A bound that has passed proves nothing, and a loss is final.
    fn hold(&mut self, client: usize, token: u64, proven_ns: u64) {
        self.ghost.told(token);
        let claim = self.claim(client);
        if claim.intent == Intent::Release {
            return;
        }
        claim.learn(Told::Held { token });
        if claim.intent == Intent::Keep {
            claim.trusted_ns = claim.trusted_ns.max(proven_ns);
        }
    }

    /// A definite end.
    fn over(&mut self, client: usize) {
        let ordinal = self.claim(client).ordinal;
        self.ghost.fate(number(client, ordinal)).said_no = true;
        self.forget(client);
    }

    fn claim(&mut self, client: usize) -> &mut Claim {
        self.clients[client].claim.as_mut().expect("only a client with a claim does this")
    }
}
