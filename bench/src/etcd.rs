//! etcd, in the two ways in which programs lock with it.
//!
//! `lock` is the Lock service: the server puts a key in line and answers when it is the first. `txn` is
//! the least that excludes others: a transaction that puts the key if it is not there, and one that
//! deletes it if it is still the same; whoever comes second is refused. Each client has a lease of its
//! own to which its keys are bound. It is granted once and lasts for longer than any run, so that no
//! renewals are beside what is measured; a program would renew it, or grant one for each lock.
//!
//! A renewal is a LeaseKeepAlive on a stream of the client's own. The leader answers it out of its
//! memory: it is not replicated.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, DeleteOptions, KvClient, LeaseClient,
    LeaseKeepAliveStream, LeaseKeeper, LockClient, LockOptions, PutOptions, Txn, TxnOp,
};
use futures_util::future::try_join_all;
use leasehold_bench::locks::{Ask, Failed, Locks, Renewed};
use tokio::sync::Mutex;

/// Longer than any run.
const TTL: Duration = Duration::from_secs(3_600);
/// Everything that is put is under it.
const ROOT: &str = "leasehold-bench/";

/// One client.
#[derive(Clone)]
pub(crate) struct Etcd {
    way: Way,
    locks: LockClient,
    keys: KvClient,
    lease: i64,
    alive: Arc<Mutex<(LeaseKeeper, LeaseKeepAliveStream)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Lock,
    Txn,
}

/// A key, and the revision at which it was put: the token that a program would fence with.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    key: Vec<u8>,
    revision: i64,
}

/// The leases of all clients, and a connection.
pub(crate) struct Cluster {
    leases: LeaseClient,
    keys: KvClient,
    granted: Vec<i64>,
}

const FAILED: Failed = Failed("ETCD_ERROR");
const HELD: Failed = Failed("HELD");
const NOT_HOLDER: Failed = Failed("NOT_HOLDER");

impl Cluster {
    /// A link for each client. Client n uses the connection at n modulo their number, which goes to the
    /// endpoint at that modulo theirs.
    pub(crate) async fn open(
        endpoints: &[String],
        way: Way,
        clients: usize,
        connections: usize,
    ) -> Result<(Self, Vec<Etcd>), etcd_client::Error> {
        let mut channels = Vec::new();
        for number in 0..connections.min(clients) {
            let endpoint = &endpoints[number % endpoints.len()];
            let options = ConnectOptions::new().with_tcp_keepalive(TTL);
            channels.push(Client::connect([endpoint], Some(options)).await?);
        }
        let seconds = i64::try_from(TTL.as_secs()).unwrap_or(i64::MAX);
        let links = (0..clients).map(async |client| {
            let channel = &channels[client % channels.len()];
            let mut leases = channel.lease_client();
            let lease = leases.grant(seconds, None).await?.id();
            let alive = Arc::new(Mutex::new(leases.keep_alive(lease).await?));
            let (locks, keys) = (channel.lock_client(), channel.kv_client());
            Ok::<_, etcd_client::Error>(Etcd { way, locks, keys, lease, alive })
        });
        let links = try_join_all(links).await?;
        let granted = links.iter().map(|link| link.lease).collect();
        let (leases, keys) = (channels[0].lease_client(), channels[0].kv_client());
        Ok((Self { leases, keys, granted }, links))
    }

    /// How often anything was put or deleted so far, as a majority knows it: every key that is put and
    /// every key that is deleted is a revision.
    pub(crate) async fn revision(&mut self) -> Result<i64, etcd_client::Error> {
        let answer = self.keys.get(ROOT, None).await?;
        Ok(answer.header().map_or(0, |header| header.revision()))
    }

    /// Ends the leases, and with them all their keys.
    pub(crate) async fn close(mut self) -> Result<(), etcd_client::Error> {
        let revoking = self.granted.iter().map(|lease| {
            let mut leases = self.leases.clone();
            async move { leases.revoke(*lease).await }
        });
        try_join_all(revoking).await?;
        self.keys.delete(ROOT, Some(DeleteOptions::new().with_prefix())).await.map(drop)
    }
}

impl Locks for Etcd {
    type Held = Held;

    async fn acquire(&self, ask: Ask) -> Result<Held, Failed> {
        let name = format!("{ROOT}{}", ask.resource);
        match self.way {
            Way::Lock => {
                let options = LockOptions::new().with_lease(self.lease);
                let mut locks = self.locks.clone();
                let answer = locks.lock(name, Some(options)).await.map_err(|_| FAILED)?;
                let revision = answer.header().map_or(0, |header| header.revision());
                match answer.key() {
                    [] => Err(FAILED),
                    key => Ok(Held { key: key.to_vec(), revision }),
                }
            }
            Way::Txn => {
                let put = PutOptions::new().with_lease(self.lease);
                let free = Compare::version(name.as_str(), CompareOp::Equal, 0);
                let put = TxnOp::put(name.as_str(), "", Some(put));
                let txn = Txn::new().when([free]).and_then([put]);
                let answer = self.keys.clone().txn(txn).await.map_err(|_| FAILED)?;
                let revision = answer.header().map_or(0, |header| header.revision());
                let held = Held { key: name.into_bytes(), revision };
                if answer.succeeded() { Ok(held) } else { Err(HELD) }
            }
        }
    }

    async fn renew(&self, held: &[Held]) -> Result<Renewed, Failed> {
        let mut alive = self.alive.lock().await;
        let (keeper, answers) = &mut *alive;
        keeper.keep_alive().await.map_err(|_| FAILED)?;
        let answer = answers.message().await.map_err(|_| FAILED)?.ok_or(FAILED)?;
        let valid_for = Duration::from_secs(u64::try_from(answer.ttl()).unwrap_or(0));
        // A lease that has ended is answered with a ttl of zero.
        let count = held.len() as u64;
        let (ok, lost) = if valid_for.is_zero() { (0, count) } else { (count, 0) };
        Ok(Renewed { ok, lost, valid_for })
    }

    async fn release(&self, _resource: &str, held: Held) -> Result<(), Failed> {
        let Held { key, revision } = held;
        match self.way {
            Way::Lock => self.locks.clone().unlock(key).await.map(drop).map_err(|_| FAILED),
            Way::Txn => {
                let same = Compare::create_revision(key.as_slice(), CompareOp::Equal, revision);
                let txn = Txn::new().when([same]).and_then([TxnOp::delete(key, None)]);
                let answer = self.keys.clone().txn(txn).await.map_err(|_| FAILED)?;
                if answer.succeeded() { Ok(()) } else { Err(NOT_HOLDER) }
            }
        }
    }
}
