//! The story, chapter by chapter. Nothing is said to have happened that was not observed, and whatever
//! was expected and not observed ends the story with a failure.

use std::time::{Duration, Instant};

use leasehold_client::{Client, ClientConfig, StoreClient};
use tokio::time::sleep;

use super::actor::{Order, Report};
use super::cast::Player;
use super::timeline::{Timeline, Who};
use crate::exit::Failure;
use crate::output::Format;
use crate::supervise::cluster::Cluster;
use crate::supervise::signals;

const RESOURCE: &str = "account/42";
const KEY: &str = "balance";
const TTL: Duration = Duration::from_secs(2);
/// How long B would queue: the lease it waits for is paused, and a leader may be missing on top.
const WAIT: Duration = Duration::from_secs(15);
/// Longest time for something to become true that is only waited for here.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Plays it. Interrupted, it takes everything down and fails.
///
/// # Errors
/// The first thing that was expected and not observed.
pub(crate) async fn play(format: Format) -> Result<(), Failure> {
    let mut signals = signals::ending().map_err(Failure::because)?;
    let told = async {
        let mut story = Story::begin(format).await?;
        story.without_the_fence().await?;
        story.with_the_fence().await?;
        story.the_killed_node_returns().await?;
        story.end().await
    };
    tokio::select! {
        told = told => told,
        signal = signals.next() => Err(Failure::other(format!("interrupted by {}", signals::name(signal)))),
    }
}

struct Story {
    timeline: Timeline,
    cluster: Cluster,
    client: Client,
    store: StoreClient,
    a: Player,
    b: Player,
    tokens: Vec<u64>,
    killed: Option<u64>,
}

impl Story {
    async fn begin(format: Format) -> Result<Self, Failure> {
        let timeline = Timeline::begin(format);
        timeline.chapter("Three lease nodes and a fenced store, each a process of its own")?;
        let mut cluster = Cluster::start(None, Some(3)).await?;
        let leader = cluster.leader().await.ok_or_else(|| missing("a leader"))?;
        let pids: Vec<_> = cluster
            .daemons()
            .map(|daemon| format!("{} {}", daemon.name(), daemon.pid().as_raw_nonzero()))
            .collect();
        timeline.tell(Who::Cluster, &format!("started ({})", pids.join(", ")))?;
        timeline
            .tell(Who::Cluster, &format!("node {} leads, term {}", leader.node_id, leader.term))?;
        let client = Client::new(ClientConfig {
            endpoints: cluster.endpoints(),
            ..ClientConfig::default()
        })?;
        let store = StoreClient::new(cluster.store_address())?;
        let (a, b) = (Player::start("A", &cluster)?, Player::start("B", &cluster)?);
        let clients =
            format!("two clients of {RESOURCE}: A (pid {}) and B (pid {})", a.pid(), b.pid());
        timeline.tell(Who::Cluster, &clients)?;
        Ok(Self { timeline, cluster, client, store, a, b, tokens: Vec::new(), killed: None })
    }

    /// The lease works as it should, and the file is overwritten all the same.
    async fn without_the_fence(&mut self) -> Result<(), Failure> {
        self.timeline.chapter("1. A lease, and a plain file that asks nobody for a token")?;
        let path = self.cluster.folder().join("balance.txt");
        let write = |text: &str| Order::WriteFile {
            path: path.display().to_string(),
            text: text.to_owned(),
        };
        let asked = Instant::now();
        self.a_acquires().await?;
        self.a_checks_and_is_paused().await?;
        self.timeline.tell(Who::B, "wants the lease too, and waits in the queue")?;
        self.b.tell(&acquire()).await?;
        self.b_is_granted(asked).await?;
        expect("B's write", &self.b.ask(&write("100, by B")).await?, &Report::FileWritten)?;
        self.timeline.tell(Who::B, "writes \"100, by B\" to the file")?;
        self.a.tell(&write("7, by A")).await?;
        self.a_wakes()?;
        expect("A's late write", &self.a.hear().await?, &Report::FileWritten)?;
        self.timeline.tell(Who::A, "writes \"7, by A\", not knowing that two seconds are gone")?;
        let left = std::fs::read_to_string(&path).map_err(Failure::because)?;
        expect("what is in the file", &left.as_str(), &"7, by A")?;
        self.timeline
            .tell(Who::File, "now says \"7, by A\". B's write is lost, and nobody was told.")?;
        self.a_knows_now().await?;
        self.b_releases().await
    }

    /// The same again, with a leader's death on top, and the store remembers.
    async fn with_the_fence(&mut self) -> Result<(), Failure> {
        self.timeline
            .chapter("2. The same, with the fenced store; and this time the leader dies as well")?;
        let write = |text: &str| Order::WriteStore { key: KEY.to_owned(), text: text.to_owned() };
        let asked = Instant::now();
        self.a_acquires().await?;
        self.stored(Who::A, &write("50, by A")).await?;
        self.a_checks_and_is_paused().await?;
        self.b.tell(&acquire()).await?;
        self.until_somebody_queues().await?;
        self.timeline.tell(Who::B, "waits in the queue")?;
        self.the_leader_dies().await?;
        self.b_is_granted(asked).await?;
        self.stored(Who::B, &write("100, by B")).await?;
        self.a.tell(&write("7, by A")).await?;
        self.a_wakes()?;
        let (old, new) = (self.token(1)?, self.token(0)?);
        let refused = Report::Stale { token: old, mark_token: new };
        expect("what the store says to A", &self.a.hear().await?, &refused)?;
        self.timeline.tell(Who::A, &format!("writes \"7, by A\" under token {old}"))?;
        self.timeline.tell(Who::Store, &format!("refuses it: STALE_TOKEN, it has seen {new}"))?;
        self.the_store_has("100, by B", new).await?;
        self.a_knows_now().await?;
        self.b_releases().await
    }

    async fn a_acquires(&mut self) -> Result<(), Failure> {
        let report = self.a.ask(&acquire()).await?;
        let token = self.granted("A", &report)?;
        let ttl = humantime::format_duration(TTL);
        self.timeline.tell(Who::A, &format!("holds the lease, token {token}, for {ttl} at a time"))
    }

    /// The pause falls between the check and the write, where no client library can see it.
    async fn a_checks_and_is_paused(&mut self) -> Result<(), Failure> {
        match self.a.ask(&Order::Check).await? {
            Report::Held { remaining_ms } => {
                let text =
                    format!("asks: may I write? Yes, for another {remaining_ms} ms. Now ...");
                self.timeline.tell(Who::A, &text)?;
            }
            other => return Err(unexpected("A's check", &other, &"held")),
        }
        self.a.pause()?;
        self.timeline
            .tell(Who::Trouble, "A is stopped (SIGSTOP): a long pause, a busy machine, a sleep")
    }

    /// A larger token, and not before the paused lease's own time was over.
    async fn b_is_granted(&mut self, a_asked: Instant) -> Result<(), Failure> {
        let report = self.b.hear().await?;
        let token = self.granted("B", &report)?;
        // A's lease lasts a ttl from when it was asked for, at least; a clock may be off by 0.1 %.
        let waited = a_asked.elapsed();
        if waited < TTL * 998 / 1_000 {
            return Err(Failure::other(format!(
                "B was granted after {waited:?}, before A's lease ended"
            )));
        }
        self.timeline
            .tell(Who::B, &format!("is granted the lease when A's has run out: token {token}"))
    }

    fn a_wakes(&self) -> Result<(), Failure> {
        self.a.wake()?;
        self.timeline.tell(Who::Trouble, "A wakes up (SIGCONT) and goes on where it was: it writes")
    }

    async fn a_knows_now(&mut self) -> Result<(), Failure> {
        match self.a.ask(&Order::Check).await? {
            Report::Lost { reason } => {
                self.timeline.tell(Who::A, &format!("asks again: may I write? No: {reason}"))
            }
            other => Err(unexpected("A's check", &other, &"lost")),
        }
    }

    async fn b_releases(&mut self) -> Result<(), Failure> {
        let report = self.b.ask(&Order::Release).await?;
        expect("B's release", &report, &Report::Released { was_held: true })?;
        self.timeline.tell(Who::B, "gives the lease back")
    }

    async fn stored(&mut self, who: Who, order: &Order) -> Result<(), Failure> {
        let player = if who == Who::A { &mut self.a } else { &mut self.b };
        match player.ask(order).await? {
            Report::Stored { .. } => {}
            other => return Err(unexpected("a write to the store", &other, &"stored")),
        }
        let (Order::WriteStore { text, .. }, token) = (order, self.token(0)?) else {
            return Err(missing("an order to write"));
        };
        self.timeline.tell(who, &format!("writes \"{text}\" under token {token}"))?;
        self.timeline.tell(Who::Store, &format!("takes it, and nothing below {token} from now on"))
    }

    async fn until_somebody_queues(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while self.client.get(RESOURCE).await?.queue_length == 0 {
            before(deadline, "B in the queue").await?;
        }
        Ok(())
    }

    async fn the_leader_dies(&mut self) -> Result<(), Failure> {
        let old = self.cluster.leader().await.ok_or_else(|| missing("a leader"))?;
        self.cluster.kill_node(old.node_id).await?;
        self.killed = Some(old.node_id);
        let killed = Instant::now();
        self.timeline.tell(
            Who::Trouble,
            &format!("node {}, the leader, is killed (SIGKILL)", old.node_id),
        )?;
        let deadline = killed + PATIENCE;
        let new = loop {
            match self.cluster.leader().await {
                Some(leader) if leader.term > old.term && leader.node_id != old.node_id => {
                    break leader;
                }
                Some(_) | None => before(deadline, "another leader").await?,
            }
        };
        let took = killed.elapsed().as_secs_f64();
        let text = format!("node {} leads now, term {}, {took:.1} s later", new.node_id, new.term);
        self.timeline.tell(Who::Cluster, &text)
    }

    async fn the_store_has(&self, text: &str, token: u64) -> Result<(), Failure> {
        let entry = self.store.get(RESOURCE, KEY, None).await?.entry;
        let entry = entry.ok_or_else(|| missing("the value in the store"))?;
        expect("what is in the store", &entry.value.as_ref(), &text.as_bytes())?;
        expect("the token beside it", &entry.token, &token)?;
        self.timeline
            .tell(Who::Store, &format!("still says \"{text}\", written under token {token}"))
    }

    /// The dead leader comes back from its disk and learns what it missed.
    async fn the_killed_node_returns(&mut self) -> Result<(), Failure> {
        self.timeline.chapter("3. The killed node returns")?;
        let node_id = self.killed.ok_or_else(|| missing("a killed node"))?;
        let last = self.token(0)?;
        self.cluster.start_node(node_id)?;
        let deadline = Instant::now() + PATIENCE;
        let node = loop {
            match self.cluster.node(node_id).await {
                Some(node) if node.last_token >= last => break node,
                Some(_) | None => before(deadline, "the killed node to catch up").await?,
            }
        };
        let text = format!(
            "node {node_id} is back ({}) and knows of token {}",
            node.role, node.last_token
        );
        self.timeline.tell(Who::Cluster, &text)
    }

    async fn end(self) -> Result<(), Failure> {
        let tokens: Vec<_> = self.tokens.iter().map(u64::to_string).collect();
        let tokens = tokens.join(" < ");
        self.a.leave().await?;
        self.b.leave().await?;
        self.cluster.stop().await;
        self.timeline.chapter("What was shown")?;
        self.timeline.sum_up(&[
            format!("Every grant had a larger token, over a leader's death: {tokens}."),
            "No grant came before the lease before it had ended.".to_owned(),
            "A lease alone did not stop a client that was paused between asking and writing."
                .to_owned(),
            "The store did: it refused the late write, and what was there stayed there.".to_owned(),
        ])
    }

    /// Takes a token from a report and holds it against all that came before.
    fn granted(&mut self, who: &str, report: &Report) -> Result<u64, Failure> {
        let Report::Acquired { token, .. } = report else {
            return Err(unexpected(&format!("{who}'s lease"), report, &"acquired"));
        };
        match self.tokens.last() {
            Some(last) if last >= token => {
                Err(Failure::other(format!("{who} was granted token {token} after {last}")))
            }
            Some(_) | None => {
                self.tokens.push(*token);
                Ok(*token)
            }
        }
    }

    /// The token of the newest grant, or of the one before it, and so on.
    fn token(&self, before_last: usize) -> Result<u64, Failure> {
        let token = self.tokens.iter().rev().nth(before_last);
        token.copied().ok_or_else(|| missing("a token"))
    }
}

fn acquire() -> Order {
    let (ttl_ms, wait_ms) = (crate::output::ms(TTL), crate::output::ms(WAIT));
    Order::Acquire { resource: RESOURCE.to_owned(), ttl_ms, wait_ms }
}

async fn before(deadline: Instant, what: &str) -> Result<(), Failure> {
    if Instant::now() > deadline {
        return Err(missing(what));
    }
    sleep(LOOK_EVERY).await;
    Ok(())
}

fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    seen: &T,
    expected: &T,
) -> Result<(), Failure> {
    if seen == expected { Ok(()) } else { Err(unexpected(what, seen, expected)) }
}

fn unexpected(what: &str, seen: &impl std::fmt::Debug, expected: &impl std::fmt::Debug) -> Failure {
    Failure::other(format!("{what} was {seen:?} instead of {expected:?}"))
}

fn missing(what: &str) -> Failure {
    Failure::other(format!("{what} was not observed in time"))
}
