//! The network as the replication sees it: the far end of every call runs in the called process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use leasehold_raft::transport::{
    Answer, Answered, Handled, Lane, Messages, PeerFault, PeerHandler, PeerLink, Replies, Transport,
};
use leasehold_raft::{AsyncRuntime, Member, pb};
use tokio::sync::{mpsc, oneshot};

use super::network::{Network, Place, pipe};
use super::process::{self, SimProcesses};

/// The network as one node sees it.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) network: Network,
    pub(crate) node: u64,
}

impl Transport for Port {
    fn link(&self, member: &Member, lane: Lane) -> Arc<dyn PeerLink> {
        let Self { network, node } = self.clone();
        // A command that came twice would be two requests; the connection it travels on never does that.
        let repeats = lane == Lane::Urgent || lane == Lane::Log;
        Arc::new(Link { network, from: node, to: member.node_id, repeats })
    }
}

#[derive(Clone)]
struct Link {
    network: Network,
    from: u64,
    to: u64,
    repeats: bool,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link from node {} to node {}", self.from, self.to)
    }
}

fn lost<E>(_: E) -> PeerFault {
    PeerFault::NoAnswer { why: "lost".to_owned() }
}

impl Link {
    /// Lets the far end's process do something, and brings back what it said.
    fn call<T: Send + 'static>(
        &self,
        within: Duration,
        make: impl Fn(&dyn PeerHandler) -> Handled<T> + Send + Sync + 'static,
    ) -> Answer<T> {
        let Self { network, from, to, repeats } = self.clone();
        let (here, there) = (Place::Node(from), Place::Node(to));
        async move {
            let (asker, answer) = oneshot::channel();
            let asker = std::sync::Mutex::new(Some(asker));
            let (make, far) = (Arc::new(make), network.clone());
            network.send(here, there, move || {
                let asker = asker.lock().map_or(None, |mut asker| asker.take());
                let repeated = asker.is_none();
                if repeated && !repeats {
                    return;
                }
                let Some((pid, handler)) = far.peer(to) else {
                    if let Some(asker) = asker {
                        let why = format!("node {to} is down");
                        far.reply(there, here, asker, Err(PeerFault::NotDelivered { why }));
                    }
                    return;
                };
                let (make, far) = (make.clone(), far.clone());
                process::spawn_in(pid, async move {
                    let reply = make(&*handler).await;
                    let by = handler.facts();
                    if let Some(asker) = asker {
                        far.reply(there, here, asker, reply.map(|reply| Answered { by, reply }));
                    }
                });
            });
            match SimProcesses::timeout(within, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(gone)) => Err(lost(gone)),
                Err(late) => Err(lost(late)),
            }
        }
        .boxed()
    }

    /// A stream of requests, pumped by this process into a connection.
    fn carry<T: Send + 'static>(&self, mut items: Messages<T>) -> Carried<T> {
        let (mut inlet, arrived) =
            pipe(&self.network, Place::Node(self.from), Place::Node(self.to));
        drop(SimProcesses::spawn(async move {
            while let Some(item) = items.next().await {
                if !inlet.send(item) {
                    return;
                }
            }
        }));
        Arc::new(std::sync::Mutex::new(Some(arrived)))
    }
}

/// The far end of a carried stream; whoever comes first takes it.
type Carried<T> = Arc<std::sync::Mutex<Option<mpsc::UnboundedReceiver<T>>>>;

fn take<T: Send + 'static>(carried: &Carried<T>) -> Messages<T> {
    match carried.lock().map_or(None, |mut arrived| arrived.take()) {
        Some(arrived) => stream::unfold(arrived, |mut arrived| async move {
            arrived.recv().await.map(|item| (item, arrived))
        })
        .boxed(),
        None => stream::empty().boxed(),
    }
}

impl PeerLink for Link {
    fn introduce(
        &self,
        call: pb::Call,
        request: pb::IntroduceRequest,
        within: Duration,
    ) -> Answer<pb::IntroduceReply> {
        self.call(within, move |peer| peer.introduce(call.clone(), request))
    }

    fn append(
        &self,
        call: pb::Call,
        request: pb::AppendRequest,
        within: Duration,
    ) -> Answer<pb::AppendReply> {
        self.call(within, move |peer| peer.append(call.clone(), request.clone()))
    }

    fn stream_append(
        &self,
        call: pb::Call,
        requests: Messages<pb::AppendRequest>,
        within: Duration,
    ) -> Answer<Replies<pb::AppendReply>> {
        let single = Self { repeats: false, ..self.clone() };
        let requests = self.carry(requests);
        let (network, here, there) =
            (self.network.clone(), Place::Node(self.from), Place::Node(self.to));
        single.call(within, move |peer| {
            let handled = peer.stream_append(call.clone(), take(&requests));
            let network = network.clone();
            async move {
                let mut replies = handled.await?;
                let (mut inlet, arrived) = pipe(&network, there, here);
                drop(SimProcesses::spawn(async move {
                    while let Some(reply) = replies.next().await {
                        if !inlet.send(reply) {
                            return;
                        }
                    }
                }));
                let arrived = Arc::new(std::sync::Mutex::new(Some(arrived)));
                Ok(take(&arrived))
            }
            .boxed()
        })
    }

    fn vote(
        &self,
        call: pb::Call,
        request: pb::VoteRequest,
        within: Duration,
    ) -> Answer<pb::VoteReply> {
        self.call(within, move |peer| peer.vote(call.clone(), request))
    }

    fn pre_vote(
        &self,
        call: pb::Call,
        request: pb::VoteRequest,
        within: Duration,
    ) -> Answer<pb::VoteReply> {
        self.call(within, move |peer| peer.pre_vote(call.clone(), request))
    }

    fn install_snapshot(
        &self,
        call: pb::Call,
        chunks: Messages<pb::SnapshotChunk>,
        within: Duration,
    ) -> Answer<pb::SnapshotReply> {
        let single = Self { repeats: false, ..self.clone() };
        let chunks = self.carry(chunks);
        single.call(within, move |peer| {
            peer.install_snapshot(call.clone(), take(&chunks).map(Ok).boxed())
        })
    }

    fn transfer_leader(
        &self,
        call: pb::Call,
        request: pb::TransferLeaderRequest,
        within: Duration,
    ) -> Answer<pb::TransferLeaderReply> {
        self.call(within, move |peer| peer.transfer_leader(call.clone(), request))
    }

    fn forward(
        &self,
        call: pb::Call,
        request: pb::ForwardRequest,
        within: Duration,
    ) -> Answer<pb::ForwardReply> {
        self.call(within, move |peer| peer.forward(call.clone(), request.clone()))
    }

    fn read_index(
        &self,
        call: pb::Call,
        request: pb::ReadIndexRequest,
        within: Duration,
    ) -> Answer<pb::ReadIndexReply> {
        self.call(within, move |peer| peer.read_index(call.clone(), request))
    }
}
