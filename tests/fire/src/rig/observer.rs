//! Who leads, asked of every node again and again over a way that no fault touches.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_api::pb::lease::v1::cluster_service_client::ClusterServiceClient;
use leasehold_api::pb::lease::v1::{StatusRequest, StatusResponse};
use tonic::transport::{Channel, Endpoint};

const EVERY: Duration = Duration::from_millis(150);
const ANSWER: Duration = Duration::from_millis(400);

/// What is known of leadership. Cheap to clone; one task asks for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Position and term of the node that leads a majority.
    leader: Option<(usize, u64)>,
    /// Every (term, node) that was seen to lead.
    leaderships: BTreeSet<(u64, usize)>,
    snapshot_index: u64,
    /// How often everybody was asked.
    rounds: u64,
}

impl Observer {
    /// Starts asking; the task ends with the runtime.
    pub(crate) fn start(addresses: &[String]) -> Self {
        let observer = Self::default();
        let channel = |address: &String| {
            Endpoint::from_shared(format!("http://{address}"))
                .expect("an address of ours")
                .connect_timeout(ANSWER)
                .connect_lazy()
        };
        let channels: Vec<Channel> = addresses.iter().map(channel).collect();
        tokio::spawn(observer.clone().ask_on(channels));
        observer
    }

    /// The position of the node that leads a majority, if one was seen to in the last round.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.seen().leader.map(|(at, _)| at)
    }

    /// How many leaderships were seen; each but the first is a change.
    pub(crate) fn leaderships(&self) -> u64 {
        self.seen().leaderships.len() as u64
    }

    /// The largest log index that a snapshot was seen to cover.
    pub(crate) fn snapshot_index(&self) -> u64 {
        self.seen().snapshot_index
    }

    /// Waits until everybody was asked anew, from now on, and somebody leads; false when `patience`
    /// is over before.
    pub(crate) async fn wait_for_leader(&self, patience: Duration) -> bool {
        let fresh = self.seen().rounds + 2;
        let led = async {
            while self.seen().rounds < fresh || self.leader().is_none() {
                tokio::time::sleep(EVERY / 3).await;
            }
        };
        tokio::time::timeout(patience, led).await.is_ok()
    }

    async fn ask_on(self, channels: Vec<Channel>) {
        loop {
            let mut asked = tokio::task::JoinSet::new();
            for (at, channel) in channels.iter().cloned().enumerate() {
                asked.spawn(async move { (at, status(channel).await) });
            }
            let answers = asked.join_all().await;
            let answers: Vec<_> =
                answers.into_iter().filter_map(|(at, answer)| Some((at, answer?))).collect();
            self.note(&answers, channels.len());
            tokio::time::sleep(EVERY).await;
        }
    }

    fn note(&self, answers: &[(usize, StatusResponse)], members: usize) {
        let leads = answers.iter().filter(|(_, said)| said.leader_id == said.node_id);
        let leader = leads.max_by_key(|(_, said)| said.term).filter(|(_, leader)| {
            let follows = |said: &&(usize, StatusResponse)| {
                said.1.leader_id == leader.node_id && said.1.term == leader.term
            };
            answers.iter().filter(follows).count() > members / 2
        });
        let mut seen = self.seen();
        seen.rounds += 1;
        seen.leader = leader.map(|(at, said)| (*at, said.term));
        if let Some((at, term)) = seen.leader {
            seen.leaderships.insert((term, at));
        }
        let snapshots = answers.iter().map(|(_, said)| said.snapshot_index);
        seen.snapshot_index = snapshots.max().unwrap_or_default().max(seen.snapshot_index);
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn status(channel: Channel) -> Option<StatusResponse> {
    let mut client = ClusterServiceClient::new(channel);
    let call = client.status(StatusRequest {});
    Some(tokio::time::timeout(ANSWER, call).await.ok()?.ok()?.into_inner())
}
