//! What people do with leases: a counter is read, incremented and written, under a lease, for ever.
//!
//! Also what they should not do and do all the same: stop for a while between the check and the
//! write, forget to release, give up in the middle, die.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_raft::AsyncRuntime;
use leasehold_types::{Acquire, Holder, LeaseTtl, RequestId, ResourceName, WaitLimit};
use tokio::sync::{mpsc, oneshot};

use super::network::{Network, Place};
use super::plan::Plant;
use super::process::{self, SimProcesses};
use super::seen::{Reporter, Seen};
use super::serving::Question;
use super::session::{Ask, Lease};
use super::store::{Answer, Knock, Request, What};

/// One application on a client's machine.
pub(crate) struct Application {
    pub(crate) client: u64,
    pub(crate) asks: mpsc::UnboundedSender<Ask>,
    pub(crate) network: Network,
    pub(crate) reporter: Reporter,
    pub(crate) nodes: u64,
    pub(crate) resources: u64,
    pub(crate) long_names: bool,
    pub(crate) ttl_ms: (u64, u64),
    /// Numbers wishes and writes, over all clients and all their lives.
    pub(crate) numbers: Arc<AtomicU64>,
    pub(crate) random: fastrand::Rng,
    pub(crate) pauses: bool,
    pub(crate) plant: Option<Plant>,
    pub(crate) poor_ids: bool,
}

/// How long a write is repeated before the application goes home.
const WRITE_ATTEMPTS_MAX: u32 = 12;

impl Application {
    /// Until its process is killed, or nothing is wished any more.
    pub(crate) async fn run(mut self, stop_at: Duration) {
        while process::true_time() < stop_at {
            self.rest(1..800).await;
            if self.random.u8(0..4) == 0 {
                self.look().await;
            }
            self.once(stop_at).await;
        }
    }

    async fn rest(&mut self, ms: std::ops::Range<u64>) {
        process::sleep(Duration::from_millis(self.random.u64(ms))).await;
    }

    /// Who holds something, from any node.
    async fn look(&mut self) {
        let read = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let node = Place::Node(self.random.u64(1..=self.nodes));
        let (client, resource) = (self.client, self.some_resource());
        let (asker, answer) = oneshot::channel();
        let (network, asker) = (self.network.clone(), std::sync::Mutex::new(Some(asker)));
        self.reporter.say(Seen::ReadAsked { client, read });
        self.network.send(Place::Client(client), node, move || {
            // A message that came twice is asked once.
            let asker = asker.lock().map_or(None, |mut asker| asker.take());
            if let Some(asker) = asker {
                let resource = resource.clone();
                network.deliver(node, Box::new(Question { client, resource, asker }));
            }
        });
        let patience = Duration::from_secs(3);
        if let Ok(Ok(Some(answer))) = SimProcesses::timeout(patience, answer).await {
            self.reporter.say(Seen::ReadAnswered { client, read, answer });
        }
    }

    fn some_resource(&mut self) -> ResourceName {
        let number = self.random.u64(0..self.resources);
        let rest = if self.long_names { format!("/{}", "x".repeat(240)) } else { String::new() };
        ResourceName::new(&format!("counter/{number}{rest}")).expect("a name")
    }

    async fn once(&mut self, stop_at: Duration) {
        let wish = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (reply, answer) = oneshot::channel();
        let ask = self.wish(wish);
        if self.asks.send(Ask::Acquire { wish, ask, reply }).is_err() {
            return;
        }
        let patience = Duration::from_millis(match self.random.u8(0..5) {
            0 => self.random.u64(1..2_000),
            _ => 60_000,
        });
        match SimProcesses::timeout(patience, answer).await {
            Ok(Ok(Ok(lease))) => {
                self.work(&lease, stop_at).await;
                self.part_with(lease, stop_at).await;
            }
            Ok(_) => {}
            Err(_) => _ = self.asks.send(Ask::GiveUp(wish)),
        }
    }

    fn wish(&mut self, wish: u64) -> Acquire {
        let resource = self.some_resource();
        let host = if self.long_names { "h".repeat(220) } else { String::new() };
        let ttl = self.random.u64(self.ttl_ms.0..=self.ttl_ms.1);
        let wait = match self.random.u8(0..3) {
            0 => 0,
            1 => self.random.u64(1..2_000),
            _ => 30_000,
        };
        let request = match self.poor_ids {
            true => u128::from(self.random.u8(0..6)),
            false => self.random.u128(..),
        };
        Acquire {
            resource,
            holder: Holder::new(&format!("{host}client-{}/{wish}", self.client)).expect("a holder"),
            request: RequestId::from_bytes(request.to_le_bytes()),
            ttl: LeaseTtl::from_ms(ttl).expect("a ttl"),
            wait: WaitLimit::from_ms(wait).expect("a wait"),
        }
    }

    async fn work(&mut self, lease: &Lease, stop_at: Duration) {
        for sequence in 1..=self.random.u64(0..6) {
            if process::true_time() >= stop_at || !self.check(lease) {
                return;
            }
            if self.pauses && self.random.u8(0..8) == 0 {
                self.rest(100..6_000).await;
            }
            let Some(value) = self.ask_store(lease, What::Read).await else { return };
            match self.pauses && self.random.u8(0..8) == 0 {
                true => self.rest(100..6_000).await,
                false => self.rest(0..30).await,
            }
            let put = What::Put { sequence, value: value + 1 };
            if self.ask_store(lease, put).await.is_none() {
                return;
            }
            self.rest(0..700).await;
        }
    }

    fn check(&self, lease: &Lease) -> bool {
        let may_act = lease.may_act() || self.plant == Some(Plant::ApplicationNeverChecks);
        if may_act {
            let (resource, token) = (lease.resource.clone(), lease.token);
            self.reporter.say(Seen::Checked { client: self.client, resource, token });
        }
        may_act
    }

    async fn part_with(&mut self, lease: Lease, stop_at: Duration) {
        match self.random.u8(0..6) {
            0 if process::true_time() < stop_at => self.rest(0..6_000).await,
            _ => self.rest(0..50).await,
        }
        lease.lose(leasehold_client::LostReason::Released);
        let _ = self.asks.send(Ask::GiveUp(lease.wish));
    }

    /// Repeats the same request until it is answered; `None` when it is refused or nobody answers.
    async fn ask_store(&mut self, lease: &Lease, what: What) -> Option<u64> {
        let write = match what {
            What::Read => 0,
            What::Put { .. } => self.numbers.fetch_add(1, Ordering::Relaxed) + 1,
        };
        let Lease { resource, token, .. } = lease;
        if write != 0 {
            let (client, resource, token) = (self.client, resource.clone(), *token);
            self.reporter.say(Seen::WriteSent { client, write, resource, token });
        }
        let request = Request { write, resource: resource.clone(), token: *token, what };
        for attempts in 1..=WRITE_ATTEMPTS_MAX {
            if let Some(answer) = self.attempt(&request).await {
                if write != 0 {
                    let (client, accepted) = (self.client, answer.is_ok());
                    self.reporter.say(Seen::WriteAnswered { client, write, accepted, attempts });
                }
                return answer.ok();
            }
            self.rest(1..100).await;
        }
        None
    }

    async fn attempt(&self, request: &Request) -> Option<Answer> {
        let (asker, answer) = oneshot::channel();
        let (network, client) = (self.network.clone(), self.client);
        let asker = std::sync::Mutex::new(Some(asker));
        let request = request.clone();
        self.network.send(Place::Client(client), Place::Store, move || {
            // A message that came twice is asked twice; only one answer finds its way.
            let asker = asker.lock().map_or(None, |mut asker| asker.take());
            let asker = asker.unwrap_or_else(|| oneshot::channel().0);
            network
                .deliver(Place::Store, Box::new(Knock { request: request.clone(), asker, client }));
        });
        SimProcesses::timeout(Duration::from_millis(300), answer).await.ok()?.ok()
    }
}
