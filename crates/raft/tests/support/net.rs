//! A network in memory whose paths can be cut, each direction by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use leasehold_raft::transport::{
    Answer, Answered, Handled, Lane, Messages, PeerFault, PeerHandler, PeerLink, Replies, Transport,
};
use leasehold_raft::{AsyncRuntime, Member, TokioRuntime, pb};
use tokio::sync::watch;

/// Who is reachable, and which paths are cut. Cutting a path loses what travels on it.
#[derive(Clone)]
pub struct Net {
    handlers: Arc<Mutex<BTreeMap<u64, Arc<dyn PeerHandler>>>>,
    cuts: watch::Sender<BTreeSet<(u64, u64)>>,
    answers: Arc<Mutex<BTreeMap<u64, u64>>>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

impl Net {
    pub fn new() -> Self {
        let cuts = watch::channel(BTreeSet::new()).0;
        Self { handlers: Arc::default(), cuts, answers: Arc::default() }
    }

    /// The network as node `from` sees it.
    pub fn transport(&self, from: u64) -> Arc<dyn Transport> {
        self.transport_on::<TokioRuntime>(from, Duration::ZERO)
    }

    /// The same on another runtime, where each message takes `delay`.
    pub fn transport_on<RT: AsyncRuntime>(&self, from: u64, delay: Duration) -> Arc<dyn Transport> {
        Arc::new(Port::<RT> { net: self.clone(), from, delay, runtime: PhantomData })
    }

    pub fn attach(&self, node: u64, handler: Arc<dyn PeerHandler>) {
        self.handlers.lock().expect("no panic").insert(node, handler);
    }

    pub fn detach(&self, node: u64) {
        self.handlers.lock().expect("no panic").remove(&node);
    }

    pub fn cut(&self, from: u64, to: u64) {
        self.cuts.send_if_modified(|cuts| cuts.insert((from, to)));
    }

    pub fn heal(&self) {
        self.cuts.send_modify(BTreeSet::clear);
    }

    /// How many calls a node has answered.
    pub fn answers(&self, node: u64) -> u64 {
        self.answers.lock().expect("no panic").get(&node).copied().unwrap_or(0)
    }

    fn handler(&self, node: u64) -> Result<Arc<dyn PeerHandler>, PeerFault> {
        let handler = self.handlers.lock().expect("no panic").get(&node).cloned();
        handler.ok_or_else(|| PeerFault::NotDelivered { why: format!("node {node} is down") })
    }

    async fn open(&self, from: u64, to: u64) {
        let mut cuts = self.cuts.subscribe();
        let open = cuts.wait_for(|cuts| !cuts.contains(&(from, to))).await;
        assert!(open.is_ok(), "the network lives as long as its links");
    }
}

struct Port<RT> {
    net: Net,
    from: u64,
    delay: Duration,
    runtime: PhantomData<fn() -> RT>,
}

impl<RT> fmt::Debug for Port<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port of node {}", self.from)
    }
}

impl<RT: AsyncRuntime> Transport for Port<RT> {
    fn link(&self, member: &Member, _: Lane) -> Arc<dyn PeerLink> {
        let Self { net, from, delay, runtime } = self;
        let (net, from, delay, runtime) = (net.clone(), *from, *delay, *runtime);
        Arc::new(Link::<RT> { net, from, to: member.node_id, delay, runtime })
    }
}

struct Link<RT> {
    net: Net,
    from: u64,
    to: u64,
    delay: Duration,
    runtime: PhantomData<fn() -> RT>,
}

impl<RT> Clone for Link<RT> {
    fn clone(&self) -> Self {
        let Self { net, from, to, delay, runtime } = self;
        Self { net: net.clone(), from: *from, to: *to, delay: *delay, runtime: *runtime }
    }
}

impl<RT> fmt::Debug for Link<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link from node {} to node {}", self.from, self.to)
    }
}

impl<RT: AsyncRuntime> Link<RT> {
    /// Returns when a message has made its way; what is dropped meanwhile is lost.
    async fn travel(&self, from: u64, to: u64) {
        if !self.delay.is_zero() {
            RT::sleep(self.delay).await;
        }
        self.net.open(from, to).await;
    }

    fn call<T: Send + 'static>(
        &self,
        within: Duration,
        make: impl FnOnce(&dyn PeerHandler) -> Handled<T> + Send + 'static,
    ) -> Answer<T> {
        let link = self.clone();
        async move {
            let (net, from, to) = (&link.net, link.from, link.to);
            let answer = async {
                link.travel(from, to).await;
                let handler = net.handler(to)?;
                let reply = make(&*handler).await;
                let by = handler.facts();
                link.travel(to, from).await;
                net.handler(to)?;
                *net.answers.lock().expect("no panic").entry(to).or_default() += 1;
                reply.map(|reply| Answered { by, reply })
            };
            let timed = RT::timeout(within, answer).await;
            timed.unwrap_or_else(|_| Err(PeerFault::NoAnswer { why: "lost".to_owned() }))
        }
        .boxed()
    }

    /// Items arrive while the path is open.
    fn carry<T: Send + 'static>(&self, items: Messages<T>, from: u64, to: u64) -> Messages<T> {
        let link = self.clone();
        let carried = items.then(move |item| {
            let link = link.clone();
            async move {
                link.travel(from, to).await;
                item
            }
        });
        carried.boxed()
    }
}

impl<RT: AsyncRuntime> PeerLink for Link<RT> {
    fn introduce(
        &self,
        call: pb::Call,
        request: pb::IntroduceRequest,
        within: Duration,
    ) -> Answer<pb::IntroduceReply> {
        self.call(within, move |peer| peer.introduce(call, request))
    }

    fn append(
        &self,
        call: pb::Call,
        request: pb::AppendRequest,
        within: Duration,
    ) -> Answer<pb::AppendReply> {
        self.call(within, move |peer| peer.append(call, request))
    }

    fn stream_append(
        &self,
        call: pb::Call,
        requests: Messages<pb::AppendRequest>,
        within: Duration,
    ) -> Answer<Replies<pb::AppendReply>> {
        let requests = self.carry(requests, self.from, self.to);
        let opened = self.call(within, move |peer| peer.stream_append(call, requests));
        let link = self.clone();
        async move {
            let Answered { by, reply } = opened.await?;
            Ok(Answered { by, reply: link.carry(reply, link.to, link.from) })
        }
        .boxed()
    }

    fn vote(
        &self,
        call: pb::Call,
        request: pb::VoteRequest,
        within: Duration,
    ) -> Answer<pb::VoteReply> {
        self.call(within, move |peer| peer.vote(call, request))
    }

    fn pre_vote(
        &self,
        call: pb::Call,
        request: pb::VoteRequest,
        within: Duration,
    ) -> Answer<pb::VoteReply> {
        self.call(within, move |peer| peer.pre_vote(call, request))
    }

    fn install_snapshot(
        &self,
        call: pb::Call,
        chunks: Messages<pb::SnapshotChunk>,
        within: Duration,
    ) -> Answer<pb::SnapshotReply> {
        let chunks = self.carry(chunks, self.from, self.to).map(Ok).boxed();
        self.call(within, move |peer| peer.install_snapshot(call, chunks))
    }

    fn transfer_leader(
        &self,
        call: pb::Call,
        request: pb::TransferLeaderRequest,
        within: Duration,
    ) -> Answer<pb::TransferLeaderReply> {
        self.call(within, move |peer| peer.transfer_leader(call, request))
    }

    fn forward(
        &self,
        call: pb::Call,
        request: pb::ForwardRequest,
        within: Duration,
    ) -> Answer<pb::ForwardReply> {
        self.call(within, move |peer| peer.forward(call, request))
    }

    fn read_index(
        &self,
        call: pb::Call,
        request: pb::ReadIndexRequest,
        within: Duration,
    ) -> Answer<pb::ReadIndexReply> {
        self.call(within, move |peer| peer.read_index(call, request))
    }
}
