//! A client's process: the real claims and what they believe, on a simulated connection.
//!
//! What the client library's session task does around [`Claims`], without sockets: it reads the clock,
//! moves messages, tells the application, and finds a node that leads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_api::Problem;
use leasehold_client::claim::{Change, Settings};
use leasehold_client::claims::{ClaimKey, Claims};
use leasehold_client::message::{Answer, Command};
use leasehold_client::{AcquireError, LostReason, Random, Validity};
use leasehold_clock::{Clock, Reading};
use leasehold_raft::AsyncRuntime;
use leasehold_types::{Acquire, Fault, FencingToken, ResourceName};
use tokio::sync::{mpsc, oneshot};

use super::clocks::MachineClocks;
use super::network::{Network, PipeEnd, Place, pipe};
use super::plan::Plant;
use super::process::SimProcesses;
use super::seen::{BeliefSeen, Reporter, Seen};
use super::serving::{Said, Session as Knock};

const LOOK_EVERY: Duration = Duration::from_millis(200);
const ROOM: usize = 64;

/// What an application asks of its client.
#[derive(Debug)]
pub(crate) enum Ask {
    /// To get a lease.
    Acquire { wish: u64, ask: Acquire, reply: oneshot::Sender<Result<Lease, AcquireError>> },
    /// To release it, or give up waiting.
    GiveUp(u64),
}

/// What is believed about a lease, shared by application and session.
#[derive(Debug)]
struct Belief {
    validity: Validity,
    lost: Option<LostReason>,
}

/// A lease in an application's hands.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) wish: u64,
    pub(crate) resource: ResourceName,
    pub(crate) token: FencingToken,
    belief: Arc<Mutex<Belief>>,
    clock: MachineClocks,
}

impl Lease {
    /// Whether it may act now. Once no, always no.
    pub(crate) fn may_act(&self) -> bool {
        let mut belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        if belief.lost.is_none() && !belief.validity.state(&self.clock.read()).may_act() {
            belief.lost = Some(LostReason::BoundPassed);
        }
        belief.lost.is_none()
    }

    /// Takes what was proven; false when somebody has seen it lost before.
    fn prove(&self, validity: Validity) -> bool {
        let acts = self.may_act();
        if acts {
            self.belief.lock().unwrap_or_else(PoisonError::into_inner).validity = validity;
        }
        acts && self.may_act()
    }

    pub(crate) fn lose(&self, reason: LostReason) {
        let mut belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        belief.lost.get_or_insert(reason);
    }
}

struct Seat {
    resource: ResourceName,
    reply: Option<oneshot::Sender<Result<Lease, AcquireError>>>,
    lease: Option<Lease>,
    requests: Vec<leasehold_types::RequestId>,
}

struct Connection {
    node: u64,
    requests: PipeEnd<(u64, Command)>,
    said: mpsc::UnboundedReceiver<Said>,
    welcomed: bool,
    opened_at: Reading,
}

/// The session's task.
pub(crate) struct Session {
    pub(crate) client: u64,
    pub(crate) nodes: u64,
    pub(crate) clock: MachineClocks,
    pub(crate) network: Network,
    pub(crate) reporter: Reporter,
    claims: Claims,
    seats: BTreeMap<u64, Seat>,
    connection: Option<Connection>,
    random: fastrand::Rng,
    next_node: u64,
    redial_at: Reading,
    faults_in_a_row: u32,
    plant: Option<Plant>,
    prefers_leader: bool,
}

enum Event {
    Asked(Option<Ask>),
    Said(Option<Said>),
    Woken,
}

/// What a session is made of.
pub(crate) struct Parts {
    pub(crate) client: u64,
    pub(crate) nodes: u64,
    pub(crate) clock: MachineClocks,
    pub(crate) network: Network,
    pub(crate) reporter: Reporter,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) chance: fastrand::Rng,
    pub(crate) request_memory: Duration,
    pub(crate) plant: Option<Plant>,
    /// Whether a follower is always left for the leader, or only most of the time.
    pub(crate) prefers_leader: bool,
}

impl Session {
    pub(crate) fn new(parts: Parts) -> Self {
        let (request_memory, plant) = (parts.request_memory, parts.plant);
        let prefers_leader = parts.prefers_leader;
        let Parts { client, nodes, clock, network, reporter, random, mut chance, .. } = parts;
        let now = clock.read();
        let settings = Settings { request_timeout: Duration::from_secs(20), request_memory };
        let next_node = chance.u64(1..=nodes);
        Self {
            client,
            nodes,
            network,
            reporter,
            claims: Claims::new(settings, random, now),
            seats: BTreeMap::new(),
            connection: None,
            random: chance,
            next_node,
            redial_at: now,
            faults_in_a_row: 0,
            clock,
            plant,
            prefers_leader,
        }
    }

    /// Until its process is killed.
    pub(crate) async fn run(mut self, mut asks: mpsc::UnboundedReceiver<Ask>) {
        loop {
            self.step().await;
            let wake = self.wake_in();
            let event = match &mut self.connection {
                Some(connection) => {
                    let next = async {
                        tokio::select! {
                            biased;
                            ask = asks.recv() => Event::Asked(ask),
                            said = connection.said.recv() => Event::Said(said),
                        }
                    };
                    SimProcesses::timeout(wake, next).await.unwrap_or(Event::Woken)
                }
                None => SimProcesses::timeout(wake, asks.recv())
                    .await
                    .map_or(Event::Woken, Event::Asked),
            };
            match event {
                Event::Asked(None) => return,
                Event::Asked(Some(ask)) => self.asked(ask),
                Event::Said(Some(said)) => self.heard(said),
                Event::Said(None) => self.stream_lost(false),
                Event::Woken => {}
            }
        }
    }

    fn wake_in(&self) -> Duration {
        let connected = self.connection.as_ref().is_some_and(|connection| connection.welcomed);
        let own = self.claims.wake_in(connected).unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
        own.max(Duration::from_micros(10))
    }

    async fn step(&mut self) {
        let now = self.clock.read();
        self.claims.tick(now);
        let silent = self.connection.as_ref().is_some_and(|connection| {
            !connection.welcomed
                && now.holder_elapsed_since(&connection.opened_at) > Duration::from_secs(1)
        });
        if self.connection.is_some() && (self.claims.is_stream_suspect() || silent) {
            self.stream_lost(false);
        }
        self.tell(now);
        let redial = now.monotonic >= self.redial_at.monotonic;
        if self.connection.is_none() && redial && !self.claims.is_empty() {
            self.dial().await;
        }
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.welcomed)
        else {
            return;
        };
        // Read before anything leaves: answers prove from here.
        let mut before = self.clock.read();
        if self.plant == Some(Plant::HolderCountsFromLater) {
            before = later(before, Duration::from_millis(600));
        }
        for (attempt, command) in self.claims.take_messages(before, ROOM) {
            if let Command::Acquire(ask) = &command {
                note_request(&mut self.seats, ask, self.client, &self.reporter);
            }
            connection.requests.send((attempt, command));
        }
    }

    /// To the node that is said to lead, else to the next one.
    async fn dial(&mut self) {
        let (here, node) = (Place::Client(self.client), self.next_node);
        let there = Place::Node(node);
        self.next_node = node % self.nodes + 1;
        let (requests, arriving) = pipe(&self.network, here, there);
        let (replies, said) = pipe(&self.network, there, here);
        let knock = Box::new(Knock { requests: arriving, replies });
        let opened = self.network.dial(here, there, knock).await;
        let pause = Duration::from_millis(self.random.u64(20..300));
        let now = self.clock.read();
        self.redial_at = Reading { monotonic: now.monotonic + pause, ..now };
        if opened {
            self.connection =
                Some(Connection { node, requests, said, welcomed: false, opened_at: now });
        }
    }

    fn stream_lost(&mut self, left_for_a_better: bool) {
        if self.connection.take().is_some() {
            self.faults_in_a_row = 0;
            self.claims.stream_lost(left_for_a_better, self.clock.read());
        }
    }

    fn asked(&mut self, ask: Ask) {
        let now = self.clock.read();
        match ask {
            Ask::Acquire { wish, ask, reply } => {
                let resource = ask.resource.clone();
                self.reporter.say(Seen::Wished {
                    client: self.client,
                    wish,
                    resource: resource.clone(),
                });
                let seat = Seat { resource, reply: Some(reply), lease: None, requests: Vec::new() };
                self.seats.insert(wish, seat);
                self.claims.acquire(ClaimKey(wish), ask, now);
            }
            Ask::GiveUp(wish) => _ = self.claims.give_up(ClaimKey(wish), now),
        }
    }

    fn heard(&mut self, said: Said) {
        let now = self.clock.read();
        match said {
            Said::Welcome { leader, request_memory } => {
                let Some(connection) = &mut self.connection else { return };
                connection.welcomed = true;
                let here = connection.node;
                self.claims.stream_opened(request_memory, now);
                // A follower forwards; now and then it is left for the leader.
                if let Some(leader) = leader.filter(|leader| *leader != here)
                    && (self.random.u8(0..4) > 0 || self.prefers_leader)
                {
                    self.next_node = leader;
                    self.stream_lost(true);
                }
            }
            Said::Pushed(request) => self.claims.pushed(request, now),
            Said::Answered(attempt, answer) => self.answered(attempt, answer, now),
        }
    }

    fn answered(&mut self, attempt: u64, answer: Answer, now: Reading) {
        let said = |claim: &leasehold_types::ClaimAnswer| {
            self.reporter.say(Seen::Answered { client: self.client, claim: claim.clone() });
        };
        match &answer {
            Answer::Acquired(claim) => said(claim),
            Answer::Renewed(items) => items.iter().flatten().for_each(said),
            _ => {}
        }
        let fault = match &answer {
            Answer::Failed { problem: Problem::Fault(fault), .. } => Some(fault.clone()),
            _ => None,
        };
        self.claims.answered(attempt, answer, now);
        match fault {
            None | Some(Fault::QueueFull { .. }) => self.faults_in_a_row = 0,
            Some(_) => self.faults_in_a_row += 1,
        }
        if self.faults_in_a_row >= 3 {
            self.stream_lost(false);
        }
    }

    fn tell(&mut self, now: Reading) {
        loop {
            let changes = self.claims.take_changes();
            if changes.is_empty() {
                return;
            }
            for (ClaimKey(wish), change) in changes {
                if !self.tell_one(wish, change) {
                    self.claims.give_up(ClaimKey(wish), now);
                }
            }
        }
    }

    /// False when the lease is to be given up: nobody wants it, or somebody saw it lost.
    fn tell_one(&mut self, wish: u64, change: Change) -> bool {
        let Self { client, reporter, clock, .. } = self;
        let Some(seat) = self.seats.get_mut(&wish) else { return true };
        let client = *client;
        let belief = |validity| BeliefSeen {
            resource: seat.resource.clone(),
            validity,
            clock: clock.clone(),
        };
        match change {
            Change::Granted { token, validity, .. } => {
                let lease = Lease {
                    wish,
                    resource: seat.resource.clone(),
                    token,
                    belief: Arc::new(Mutex::new(Belief { validity, lost: None })),
                    clock: clock.clone(),
                };
                reporter.say(Seen::Granted { client, wish, token, belief: belief(validity) });
                seat.lease = Some(lease.clone());
                seat.reply.take().is_some_and(|reply| reply.send(Ok(lease)).is_ok())
            }
            Change::Proven(validity) => {
                let Some(lease) = &seat.lease else { return true };
                let proven = lease.prove(validity);
                if proven {
                    let token = lease.token;
                    reporter.say(Seen::Proven { client, token, belief: belief(validity) });
                }
                proven
            }
            Change::Lost(reason) => {
                if let Some(lease) = &seat.lease {
                    lease.lose(reason);
                    reporter.say(Seen::Lost { client, token: lease.token, reason });
                }
                true
            }
            Change::Failed(error) => {
                reporter.say(Seen::NotGranted { client, wish, error: error.clone() });
                if let Some(reply) = seat.reply.take() {
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(Err(error));
                }
                true
            }
            Change::Over(_) => {
                self.seats.remove(&wish);
                true
            }
        }
    }
}

/// A reading that nobody has made.
fn later(reading: Reading, by: Duration) -> Reading {
    let Reading { monotonic, raw, boot } = reading;
    Reading { monotonic: monotonic + by, raw: raw + by, boot: boot + by }
}

fn note_request(seats: &mut BTreeMap<u64, Seat>, ask: &Acquire, client: u64, reporter: &Reporter) {
    let waiting = seats
        .iter_mut()
        .filter(|(_, seat)| seat.lease.is_none() && seat.resource == ask.resource)
        .find(|(wish, _)| ask.holder.as_str().ends_with(&format!("/{wish}")));
    if let Some((wish, seat)) = waiting
        && !seat.requests.contains(&ask.request)
    {
        seat.requests.push(ask.request);
        let (wish, request, resource) = (*wish, ask.request, ask.resource.clone());
        reporter.say(Seen::Asked { client, wish, request, resource });
    }
}
