//! What a daemon is asked while something happens to its disk, and what it must still know afterwards.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use leasehold_api::duration_from_std;
use leasehold_api::pb::lease::v1 as lease;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_api::pb::store::v1 as store;
use leasehold_api::pb::store::v1::store_service_client::StoreServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::Outcome;
use crate::rig::cluster::{CLIENT_PORT, Machine, STORE_PORT};
use crate::rig::daemon::Daemon;

/// Requests, one after the other: each waits for its own syncs.
const REQUESTS: u64 = 12;
const ANSWER: Duration = Duration::from_secs(4);

/// Which daemon, and so which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Lease,
    Store,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) name: String,
    /// Since the epoch: strace knows no other clock.
    pub(crate) sent_at: Duration,
    /// When the answer was there.
    pub(crate) answered_at: Duration,
    pub(crate) acknowledged: bool,
    /// The token that was granted.
    token: u64,
}

impl Script {
    pub(crate) fn address(self, machine: &Machine) -> String {
        let port = if self == Self::Lease { CLIENT_PORT } else { STORE_PORT };
        format!("http://{}:{port}", machine.host.address())
    }

    /// Asks until everything was asked or the daemon has ended.
    pub(crate) async fn play(
        self,
        address: &str,
        daemon: &mut Daemon,
        patience: Duration,
    ) -> Outcome<Vec<Sent>> {
        let channel = Endpoint::from_shared(address.to_owned())?.connect_lazy();
        let deadline = Instant::now() + patience;
        let mut sent: Vec<Sent> = Vec::new();
        let mut number = 0;
        while number < REQUESTS {
            if daemon.ended_by_itself()?.is_some() {
                return Ok(sent);
            }
            if Instant::now() > deadline {
                return Err(format!("{self:?} neither serves nor ends").into());
            }
            let sent_at = SystemTime::now().duration_since(UNIX_EPOCH)?;
            let answer = tokio::time::timeout(ANSWER, self.ask(channel.clone(), number)).await;
            let answered_at = SystemTime::now().duration_since(UNIX_EPOCH)?;
            let name = format!("request {number}");
            let one =
                |acknowledged, token| Sent { name, sent_at, answered_at, acknowledged, token };
            match answer {
                Ok(Ok(token)) => {
                    sent.push(one(true, token));
                    number += 1;
                }
                // Not there yet, or no more: a repeated request is one request.
                Ok(Err(_)) | Err(_) => {
                    sent.push(one(false, 0));
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        Ok(sent)
    }

    async fn ask(self, channel: Channel, number: u64) -> Result<u64, tonic::Status> {
        match self {
            Self::Lease => {
                let request = acquire(number);
                let answer = LeaseServiceClient::new(channel).acquire(request).await?.into_inner();
                Ok(answer.lease.unwrap_or_default().token)
            }
            Self::Store => {
                let put = store::Put { key: "k".into(), value: number.to_string().into() };
                let request = store::WriteRequest {
                    resource: "r".into(),
                    token: number / 4 + 1,
                    sequence: number % 4 + 1,
                    mutations: vec![store::Mutation {
                        operation: Some(store::mutation::Operation::Put(put)),
                        expected_version: None,
                    }],
                    cluster_id: String::new(),
                };
                StoreServiceClient::new(channel).write(request).await?;
                Ok(0)
            }
        }
    }

    /// Asks a daemon that was started again for all that it acknowledged. Gives what it no longer knows.
    pub(crate) async fn read_back(
        self,
        address: &str,
        sent: &[Sent],
        patience: Duration,
    ) -> Outcome<Vec<String>> {
        let channel = Endpoint::from_shared(address.to_owned())?.connect_lazy();
        let deadline = Instant::now() + patience;
        let kept: Vec<&Sent> = sent.iter().filter(|one| one.acknowledged).collect();
        loop {
            let asked = async {
                match self {
                    Self::Lease => read_leases(channel.clone(), &kept).await,
                    Self::Store => read_value(channel.clone(), kept.len() as u64).await,
                }
            };
            match tokio::time::timeout(ANSWER, asked).await {
                Ok(Ok(lost)) => return Ok(lost),
                Ok(Err(status)) if Instant::now() > deadline => return Err(status.into()),
                Err(_) if Instant::now() > deadline => return Err("it does not answer".into()),
                Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

fn acquire(number: u64) -> lease::AcquireRequest {
    lease::AcquireRequest {
        resource: format!("r/{number}"),
        holder: "script".into(),
        request_id: vec![u8::try_from(number).unwrap_or(u8::MAX); 16].into(),
        // Lease time stands still while the daemon is down, so all live on.
        ttl: Some(duration_from_std(Duration::from_secs(600))),
        wait: None,
    }
}

async fn read_leases(channel: Channel, kept: &[&Sent]) -> Result<Vec<String>, tonic::Status> {
    let mut client = LeaseServiceClient::new(channel);
    let mut lost = Vec::new();
    for (number, one) in kept.iter().enumerate() {
        let request = lease::GetRequest { resource: format!("r/{number}") };
        let state = client.get(request).await?.into_inner().state.unwrap_or_default();
        let token = state.lease.unwrap_or_default().token;
        if token != one.token {
            lost.push(format!("{} had token {} and now has {token}", one.name, one.token));
        }
    }
    let last = kept.iter().map(|one| one.token).max().unwrap_or_default();
    let next = client.acquire(acquire(100)).await?.into_inner().lease.unwrap_or_default().token;
    if next <= last {
        lost.push(format!("token {next} was granted after token {last}"));
    }
    Ok(lost)
}

/// The value is the last acknowledged, or that of the request after it, whose outcome nobody knows.
async fn read_value(channel: Channel, kept: u64) -> Result<Vec<String>, tonic::Status> {
    let mut client = StoreServiceClient::new(channel);
    let request = store::GetRequest { resource: "r".into(), key: "k".into(), ..Default::default() };
    let entry = client.get(request).await?.into_inner().entry;
    let found = entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
    let last = kept.checked_sub(1).map(|last| last.to_string());
    let known = found == last || found == Some(kept.to_string());
    Ok(if known { Vec::new() } else { vec![format!("it has {found:?} after {last:?}")] })
}
