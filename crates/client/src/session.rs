//! The one task that owns all claims of a client and its stream to the cluster.
//!
//! It waits in one place ([`Session::next_event`], every branch cancel safe) and decides in another
//! ([`Session::on_event`], which never waits). All thinking about claims is [`Claims`]; here are the
//! stream, the clock and the channels to the application.
//!
//! The order within a step is what keeps promises: the clock is read, what has passed is lost, the
//! application is told, and only then is anything sent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use leasehold_api::Problem;
use leasehold_clock::Reading;
use leasehold_types::{Acquire, Fault};
use tokio::sync::{mpsc, oneshot};

use crate::backoff::Backoff;
use crate::claim::Settings;
pub(crate) use crate::claims::ClaimKey;
use crate::claims::Claims;
use crate::config::{Address, CheckedConfig};
use crate::connection::Connection;
use crate::endpoints::Endpoints;
use crate::guard::LOOK_EVERY;
use crate::message::Answer;
use crate::random::number_below;
use crate::seats::Seats;
use crate::wire::{Said, Welcome};
use crate::{AcquireError, LeaseGuard};

/// Wishes that may wait for the task.
const ASKS_MAX: usize = 1_024;
/// Until a node says otherwise.
const REQUEST_MEMORY_DEFAULT: Duration = Duration::from_secs(60);
/// With no claims there is nothing to look at the clock for.
const IDLE: Duration = Duration::from_secs(3_600);
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);
/// After so many attempts in a row that a node answered with a fault, another one is tried.
const FAULTS_IN_A_ROW_MAX: u32 = 3;

/// The application asks for a lease.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) key: ClaimKey,
    pub(crate) ask: Acquire,
    pub(crate) reply: oneshot::Sender<Result<LeaseGuard, AcquireError>>,
    pub(crate) endings: mpsc::UnboundedSender<Ending>,
}

/// The application is done with a claim. The channel that carries these has no bound of its own: each
/// claim sends at most three, and claims come in through a bounded one.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Cancel or release it, and tell how that went.
    Release(ClaimKey, Option<oneshot::Sender<Result<bool, Fault>>>),
    /// Forget it without releasing.
    Leave(ClaimKey),
}

/// How the rest of the client reaches the task.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) endings: mpsc::UnboundedSender<Ending>,
}

impl SessionHandle {
    /// Starts the task on the current runtime.
    pub(crate) fn start(config: CheckedConfig) -> Self {
        let (asks, wishes) = mpsc::channel(ASKS_MAX);
        let (endings, ended) = mpsc::unbounded_channel();
        tokio::spawn(Session::new(config, wishes, ended).run());
        Self { asks, endings }
    }
}

type Dialled = (Address, Result<(Connection, Welcome), Fault>);
type Dial = Pin<Box<dyn Future<Output = Dialled> + Send>>;

struct Session {
    config: CheckedConfig,
    asks: Option<mpsc::Receiver<Ask>>,
    endings: Option<mpsc::UnboundedReceiver<Ending>>,
    claims: Claims,
    seats: Seats,
    started: Reading,
    endpoints: Endpoints,
    connection: Option<Connection>,
    /// A dial under way: the only way to a stream, or to a better one.
    dial: Option<Dial>,
    redial: Backoff,
    /// How long to wait before the next dial from nowhere.
    redial_pause: Duration,
    /// Where the node at the other end says that the leader is, if it is not that node.
    leader_elsewhere: Option<String>,
    faults_in_a_row: u32,
}

enum Event {
    Asked(Option<Ask>),
    Ending(Option<Ending>),
    Said(Result<Said, Fault>),
    Dialled(Box<Dialled>),
    /// Time has passed, or there is room to send.
    Woken,
}

impl Session {
    fn new(
        config: CheckedConfig,
        asks: mpsc::Receiver<Ask>,
        endings: mpsc::UnboundedReceiver<Ending>,
    ) -> Self {
        let started = config.clock.read();
        let settings = Settings {
            request_timeout: config.request_timeout,
            request_memory: REQUEST_MEMORY_DEFAULT,
        };
        let count = u64::try_from(config.endpoints.len()).unwrap_or(u64::MAX);
        let first = usize::try_from(number_below(&*config.random, count)).unwrap_or(0);
        Self {
            claims: Claims::new(settings, Arc::clone(&config.random), started),
            seats: Seats::new(Arc::clone(&config.clock)),
            endpoints: Endpoints::new(config.endpoints.clone(), first),
            asks: Some(asks),
            endings: Some(endings),
            started,
            connection: None,
            dial: None,
            redial: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
            redial_pause: Duration::ZERO,
            leader_elsewhere: None,
            faults_in_a_row: 0,
            config,
        }
    }

    async fn run(mut self) {
        while !self.is_done() {
            let event = self.next_event().await;
            self.on_event(event);
            self.step();
        }
    }

    /// Nobody can ask or end anything any more, and everything has ended.
    fn is_done(&self) -> bool {
        self.asks.is_none() && self.endings.is_none() && self.claims.is_empty()
    }

    async fn next_event(&mut self) -> Event {
        let wake = self.wake_in();
        let idle = self.claims.is_empty();
        let Self { asks, endings, connection, dial, .. } = self;
        tokio::select! {
            ending = receive_ending(endings) => Event::Ending(ending),
            said = listen(connection, idle) => said,
            ask = receive_ask(asks) => Event::Asked(ask),
            dialled = finish(dial) => Event::Dialled(Box::new(dialled)),
            () = tokio::time::sleep(wake) => Event::Woken,
        }
    }

    /// While there are claims the clock is looked at often: timers of the runtime do not count the
    /// time that the machine is suspended.
    fn wake_in(&self) -> Duration {
        let can_send = self.connection.as_ref().is_some_and(|connection| connection.room() > 0);
        match self.claims.wake_in(can_send) {
            Some(next) => next.min(LOOK_EVERY),
            None if self.claims.is_empty() => IDLE,
            None => LOOK_EVERY,
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = self.config.clock.read();
        match event {
            Event::Asked(Some(ask)) => self.asked(ask, now),
            Event::Asked(None) => self.asks = None,
            Event::Ending(Some(Ending::Release(key, reply))) => {
                self.seats.wants_to_know(key, reply);
                self.claims.give_up(key, now);
            }
            Event::Ending(Some(Ending::Leave(key))) => self.claims.leave(key, now),
            Event::Ending(None) => self.endings = None,
            Event::Said(Ok(Said::Answered(attempt, answer))) => self.answered(attempt, answer, now),
            Event::Said(Ok(Said::Pushed(request))) => self.claims.pushed(request, now),
            Event::Said(Ok(Said::Welcome(welcome))) => {
                self.claims.heard(now);
                self.faults_in_a_row = 0;
                self.welcomed(&welcome, now);
            }
            Event::Said(Err(fault)) => self.stream_failed(&fault, now),
            Event::Dialled(dialled) => self.dialled(*dialled, now),
            Event::Woken => self.follow(now),
        }
    }

    /// Loses what has passed, tells the application, and only then sends.
    fn step(&mut self) {
        let now = self.config.clock.read();
        self.claims.tick(now);
        if self.claims.is_stream_suspect() && self.connection.is_some() {
            let silent = Fault::OutcomeUnknown { why: "the stream does not answer".into() };
            self.stream_failed(&silent, now);
        }
        self.tell(now);
        if self.connection.is_none() && self.dial.is_none() && !self.claims.is_empty() {
            let address = self.endpoints.pick(self.at(&now));
            self.dial_after(self.redial_pause, address);
        }
        if let Some(connection) = &self.connection {
            // Read before anything leaves: answers prove from here.
            let before = self.config.clock.read();
            for (attempt, command) in self.claims.take_messages(before, connection.room()) {
                connection.send(attempt, command);
            }
        }
    }

    fn tell(&mut self, now: Reading) {
        loop {
            let changes = self.claims.take_changes();
            if changes.is_empty() {
                return;
            }
            for (key, change) in changes {
                if !self.seats.tell(key, change) {
                    self.claims.give_up(key, now);
                }
            }
        }
    }

    fn asked(&mut self, ask: Ask, now: Reading) {
        let Ask { key, ask, reply, endings } = ask;
        // Dropped before it was taken: its ending may have come first and found nothing.
        if !reply.is_closed() {
            self.seats.take(key, ask.resource.clone(), reply, endings);
            self.claims.acquire(key, ask, now);
        }
    }

    fn answered(&mut self, attempt: u64, answer: Answer, now: Reading) {
        let fault = match &answer {
            Answer::Failed { problem: Problem::Fault(fault), .. } => Some(fault.clone()),
            _ => None,
        };
        self.claims.answered(attempt, answer, now);
        match fault {
            None => {
                self.faults_in_a_row = 0;
                self.redial.reset();
            }
            Some(fault) => self.answered_with(&fault, now),
        }
    }

    /// A node that can do nothing for us is left: for the leader where it is known, else for another.
    fn answered_with(&mut self, fault: &Fault, now: Reading) {
        match fault {
            // Full is not broken: the claims pace themselves.
            Fault::QueueFull { .. } => return,
            Fault::ShuttingDown | Fault::Storage { .. } => return self.stream_failed(fault, now),
            Fault::NoLeader { leader_address } => {
                self.leader_elsewhere.clone_from(leader_address);
                self.follow(now);
            }
            Fault::OutcomeUnknown { .. } => {}
        }
        self.faults_in_a_row += 1;
        if self.faults_in_a_row >= FAULTS_IN_A_ROW_MAX && self.dial.is_none() {
            self.stream_failed(fault, now);
        }
    }

    fn dialled(&mut self, (address, outcome): Dialled, now: Reading) {
        self.dial = None;
        match outcome {
            Ok((connection, welcome)) => self.opened(&address, connection, &welcome, now),
            Err(fault) => {
                tracing::debug!(%address, %fault, "a node could not be dialled");
                self.endpoints.unreachable(&address, self.at(&now));
                self.redial_pause = self.redial.pause(&*self.config.random);
            }
        }
    }

    fn opened(
        &mut self,
        address: &Address,
        connection: Connection,
        welcome: &Welcome,
        now: Reading,
    ) {
        if !self.seats.same_cluster(&welcome.cluster_id) {
            tracing::error!(%address, cluster_id = welcome.cluster_id, "another cluster's node");
            return self.endpoints.unreachable(address, self.at(&now));
        }
        if self.connection.replace(connection).is_some() {
            self.claims.stream_lost(true, now);
        }
        let leads = welcome.leader_id == Some(welcome.node_id);
        tracing::debug!(%address, node_id = welcome.node_id, leads, "a stream is open");
        self.endpoints.opened(address, leads);
        self.faults_in_a_row = 0;
        self.claims.stream_opened(welcome.request_memory, now);
        self.welcomed(welcome, now);
    }

    fn welcomed(&mut self, welcome: &Welcome, now: Reading) {
        let elsewhere = welcome.leader_id.is_some_and(|leader| leader != welcome.node_id);
        self.leader_elsewhere = welcome.leader_address.clone().filter(|_| elsewhere);
        self.follow(now);
    }

    /// Where another node leads, the one at the other end forwards until the leader itself is reached.
    fn follow(&mut self, now: Reading) {
        let at = self.at(&now);
        if let (Some(leader), Some(connection), None) =
            (&self.leader_elsewhere, &self.connection, &self.dial)
            && let Some(leader) = self.endpoints.move_to(leader, &connection.address, at)
        {
            self.dial_after(Duration::ZERO, leader);
        }
    }

    fn stream_failed(&mut self, fault: &Fault, now: Reading) {
        let Some(connection) = self.connection.take() else { return };
        tracing::debug!(address = %connection.address, %fault, "a stream is given up");
        self.endpoints.gave_up(&connection.address, self.at(&now));
        self.claims.stream_lost(false, now);
        self.leader_elsewhere = None;
        self.faults_in_a_row = 0;
        self.redial_pause = self.redial.pause(&*self.config.random);
    }

    fn dial_after(&mut self, pause: Duration, address: Address) {
        let connect_timeout = self.config.connect_timeout;
        let connector = Arc::clone(&self.config.connector);
        self.dial = Some(Box::pin(async move {
            tokio::time::sleep(pause).await;
            let outcome = Connection::dial(&*connector, address.clone(), connect_timeout).await;
            (address, outcome)
        }));
    }

    fn at(&self, now: &Reading) -> Duration {
        now.holder_elapsed_since(&self.started)
    }
}

/// What the node says, or that there is room again where there was none. Cancel safe.
async fn listen(connection: &mut Option<Connection>, idle: bool) -> Event {
    match connection {
        Some(connection) if connection.room() == 0 && !idle => {
            connection.next_or_room().await.map_or(Event::Woken, Event::Said)
        }
        Some(connection) => Event::Said(connection.next().await),
        None => std::future::pending().await,
    }
}

async fn receive_ask(asks: &mut Option<mpsc::Receiver<Ask>>) -> Option<Ask> {
    match asks {
        Some(asks) => asks.recv().await,
        None => std::future::pending().await,
    }
}

async fn receive_ending(endings: &mut Option<mpsc::UnboundedReceiver<Ending>>) -> Option<Ending> {
    match endings {
        Some(endings) => endings.recv().await,
        None => std::future::pending().await,
    }
}

async fn finish(dial: &mut Option<Dial>) -> Dialled {
    match dial {
        Some(dial) => dial.await,
        None => std::future::pending().await,
    }
}
