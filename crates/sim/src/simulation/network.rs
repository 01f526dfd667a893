//! The network: who reaches whom, how long it takes, what gets lost.
//!
//! Every directed pair of places has a path of its own with its own randomness. A single message is
//! delayed or lost. A [`pipe`] is a connection: in order, nothing lost and nothing doubled, but it
//! stalls while its path is cut, breaks when it has stalled for long, and ends when either end dies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leasehold_raft::transport::PeerHandler;
use tokio::sync::{mpsc, oneshot};

use super::process::{self, Pid, WORLD, true_time};

/// Where messages come from and go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// A node of the cluster.
    Node(u64),
    /// A client's machine.
    Client(u64),
    /// The store.
    Store,
}

/// How the paths behave while nothing is cut.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weather {
    /// Shortest and longest time on the way.
    pub(crate) delay: (Duration, Duration),
    /// Of a thousand messages, how many take far longer: a retransmission.
    pub(crate) slow_per_mille: u32,
    /// Of a thousand single messages, requests or replies, how many are lost.
    pub(crate) lost_per_mille: u32,
    /// Of a thousand single messages, how many arrive twice.
    pub(crate) twice_per_mille: u32,
}

impl Weather {
    /// A quiet local network.
    pub(crate) fn calm() -> Self {
        let delay = (Duration::from_micros(50), Duration::from_micros(500));
        Self { delay, slow_per_mille: 0, lost_per_mille: 0, twice_per_mille: 0 }
    }
}

/// What the weather did to messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Did {
    /// Lost, where no path was cut.
    pub(crate) lost: u64,
    /// Far later than usual.
    pub(crate) slowed: u64,
    /// Arrived twice.
    pub(crate) doubled: u64,
    /// Sent from one node to another, whatever became of them.
    pub(crate) between_nodes: u64,
}

/// A lost message is a connection that has died: keepalives notice within this time, however long the
/// answer itself might have taken.
const LOSS_NOTICED: Duration = Duration::from_secs(2);
/// A connection that stalled for this long is broken.
const STALL_MAX: Duration = Duration::from_secs(8);
const SLOW: (u64, u64) = (20, 400);

/// Clones are the same network.
#[derive(Clone)]
pub(crate) struct Network {
    state: Arc<Mutex<State>>,
}

struct State {
    seed: u64,
    weather: Weather,
    cuts: BTreeSet<(Place, Place)>,
    /// Whose single answers get lost.
    unheard: BTreeSet<Place>,
    /// How often the connections of a path were broken.
    breaks: BTreeMap<(Place, Place), u64>,
    paths: BTreeMap<(Place, Place), fastrand::Rng>,
    did: Did,
    peers: BTreeMap<u64, (Pid, Arc<dyn PeerHandler>)>,
    doors: BTreeMap<Place, (Pid, mpsc::UnboundedSender<Knock>)>,
}

/// Somebody opens a connection: what it will carry is up to the door.
pub(crate) type Knock = Box<dyn std::any::Any + Send>;

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        let state = State {
            seed,
            weather,
            cuts: BTreeSet::new(),
            unheard: BTreeSet::new(),
            breaks: BTreeMap::new(),
            paths: BTreeMap::new(),
            did: Did::default(),
            peers: BTreeMap::new(),
            doors: BTreeMap::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the weather did so far.
    pub(crate) fn did(&self) -> Did {
        self.state().did
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    pub(crate) fn cut(&self, from: Place, to: Place) {
        self.state().cuts.insert((from, to));
    }

    pub(crate) fn mend(&self, from: Place, to: Place) {
        self.state().cuts.remove(&(from, to));
    }

    pub(crate) fn mend_all(&self) {
        self.state().cuts.clear();
        self.state().unheard.clear();
    }

    /// Single answers of `from` are lost from now on, or no longer.
    pub(crate) fn lose_replies(&self, from: Place, lose: bool) {
        let mut state = self.state();
        match lose {
            true => state.unheard.insert(from),
            false => state.unheard.remove(&from),
        };
    }

    /// What is under way on connections in this direction is lost, and they end.
    pub(crate) fn break_pipes(&self, from: Place, to: Place) {
        *self.state().breaks.entry((from, to)).or_default() += 1;
    }

    fn breaks(&self, from: Place, to: Place) -> u64 {
        self.state().breaks.get(&(from, to)).copied().unwrap_or(0)
    }

    fn is_cut(&self, from: Place, to: Place) -> bool {
        self.state().cuts.contains(&(from, to))
    }

    /// A node's process answers its peers from now on.
    pub(crate) fn attach(&self, node: u64, pid: Pid, handler: Arc<dyn PeerHandler>) {
        self.state().peers.insert(node, (pid, handler));
    }

    /// Who answers peers there, if a process does.
    pub(crate) fn peer(&self, node: u64) -> Option<(Pid, Arc<dyn PeerHandler>)> {
        self.state().peers.get(&node).filter(|(pid, _)| process::lives(*pid)).cloned()
    }

    pub(crate) fn detach(&self, node: u64) {
        self.state().peers.remove(&node);
        self.state().doors.remove(&Place::Node(node));
    }

    /// Lets go of whoever can be reached: they can reach this network, so neither would ever be dropped.
    pub(crate) fn forget_everybody(&self) {
        let mut state = self.state();
        let forgotten = (std::mem::take(&mut state.peers), std::mem::take(&mut state.doors));
        drop(state);
        drop(forgotten);
    }

    /// A process listens for connections from now on.
    pub(crate) fn listen(&self, at: Place, pid: Pid) -> mpsc::UnboundedReceiver<Knock> {
        let (door, knocks) = mpsc::unbounded_channel();
        self.state().doors.insert(at, (pid, door));
        knocks
    }

    /// Opens a connection to whoever listens there; false when nobody does. Takes a while.
    pub(crate) async fn dial(&self, from: Place, to: Place, knock: Knock) -> bool {
        let Some(delay) = self.single(from, to).first().copied() else { return false };
        process::sleep(delay).await;
        let door = self.state().doors.get(&to).cloned();
        let Some((pid, door)) = door.filter(|_| !self.is_cut(from, to)) else { return false };
        process::lives(pid) && door.send(knock).is_ok()
    }

    /// Hands something to whoever listens there, now.
    pub(crate) fn deliver(&self, to: Place, knock: Knock) {
        let door = self.state().doors.get(&to).cloned();
        if let Some((_, door)) = door.filter(|(pid, _)| process::lives(*pid)) {
            // A process that is stopping takes nothing more.
            let _ = door.send(knock);
        }
    }

    /// When the copies of a single message arrive, in order of sending. None: it is lost.
    fn single(&self, from: Place, to: Place) -> Vec<Duration> {
        let mut state = self.state();
        let State { weather, cuts, .. } = &*state;
        let (weather, cut) = (weather.clone(), cuts.contains(&(from, to)));
        let mut did = state.did;
        let path = state.path(from, to);
        let chance = |path: &mut fastrand::Rng, per_mille| path.u32(0..1_000) < per_mille;
        let lost = chance(path, weather.lost_per_mille);
        let doubled = chance(path, weather.twice_per_mille);
        let copies = if doubled { 2 } else { 1 };
        let delays = (0..copies).map(|_| weather.draw_delay(path, &mut did)).collect();
        did.lost += u64::from(lost && !cut);
        did.doubled += u64::from(doubled && !lost && !cut);
        did.between_nodes += are_nodes(from, to);
        state.did = did;
        if lost || cut { Vec::new() } else { delays }
    }

    /// When the next item of a connection can arrive.
    fn delay(&self, from: Place, to: Place) -> Duration {
        let mut state = self.state();
        let (weather, mut did) = (state.weather.clone(), state.did);
        let delay = weather.draw_delay(state.path(from, to), &mut did);
        did.between_nodes += are_nodes(from, to);
        state.did = did;
        delay
    }

    /// Carries out `arrive` at the far end, perhaps twice, perhaps never.
    pub(crate) fn send(&self, from: Place, to: Place, arrive: impl Fn() + Send + Sync + 'static) {
        let arrive = Arc::new(arrive);
        let copies = self.single(from, to);
        if copies.is_empty() {
            notice_later(arrive.clone());
        }
        for delay in copies {
            let (arrive, network) = (Arc::clone(&arrive), self.clone());
            process::spawn_in(WORLD, async move {
                process::sleep(delay).await;
                match network.is_cut(from, to) {
                    false => arrive(),
                    true => notice_later(arrive),
                }
            });
        }
    }

    /// Carries one answer back, at most once.
    pub(crate) fn reply<T: Send + 'static>(
        &self,
        from: Place,
        to: Place,
        asker: oneshot::Sender<T>,
        answer: T,
    ) {
        let unheard = self.state().unheard.contains(&from);
        let arrives = self.single(from, to).first().copied().filter(|_| !unheard);
        let Some(delay) = arrives else {
            return notice_later(asker);
        };
        let network = self.clone();
        process::spawn_in(WORLD, async move {
            process::sleep(delay).await;
            if network.is_cut(from, to) {
                return notice_later(asker);
            }
            // Whoever asked may be gone.
            let _ = asker.send(answer);
        });
    }
}

fn are_nodes(from: Place, to: Place) -> u64 {
    u64::from(matches!((from, to), (Place::Node(_), Place::Node(_))))
}

/// Lets go of what a lost message carried once its sender can know.
fn notice_later(lost: impl Send + 'static) {
    process::spawn_in(WORLD, async move {
        process::sleep(LOSS_NOTICED).await;
        drop(lost);
    });
}

impl Weather {
    fn draw_delay(&self, path: &mut fastrand::Rng, did: &mut Did) -> Duration {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (least, most) = self.delay;
        let delay = Duration::from_nanos(path.u64(nanos(least)..=nanos(most)));
        let slow = path.u32(0..1_000) < self.slow_per_mille;
        let extra = Duration::from_millis(path.u64(SLOW.0..SLOW.1));
        did.slowed += u64::from(slow);
        if slow { delay + extra } else { delay }
    }
}

impl State {
    fn path(&mut self, from: Place, to: Place) -> &mut fastrand::Rng {
        let seed = self.seed;
        let number = |place| match place {
            Place::Node(id) => id,
            Place::Client(id) => 1_000 + id,
            Place::Store => 2_000,
        };
        let own = seed ^ (number(from) * 10_007 + number(to)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.paths.entry((from, to)).or_insert_with(|| fastrand::Rng::with_seed(own))
    }
}

/// One direction of a connection: its two ends.
pub(crate) fn pipe<T: Send + 'static>(
    network: &Network,
    from: Place,
    to: Place,
) -> (PipeEnd<T>, mpsc::UnboundedReceiver<T>) {
    let (inlet, mut carried) = mpsc::unbounded_channel::<(Duration, T)>();
    let (outlet, arrived) = mpsc::unbounded_channel();
    let cable = network.clone();
    let breaks = network.breaks(from, to);
    process::spawn_in(WORLD, async move {
        while let Some((at, item)) = carried.recv().await {
            process::sleep_until(at).await;
            if cable.breaks(from, to) != breaks {
                return;
            }
            let stalled_at = true_time();
            while cable.is_cut(from, to) {
                if true_time() - stalled_at > STALL_MAX {
                    return;
                }
                process::sleep(Duration::from_millis(5)).await;
            }
            if outlet.send(item).is_err() {
                return;
            }
        }
    });
    (PipeEnd { network: network.clone(), from, to, inlet, last: Duration::ZERO }, arrived)
}

/// Where a connection takes in.
#[derive(Debug)]
pub(crate) struct PipeEnd<T> {
    network: Network,
    from: Place,
    to: Place,
    inlet: mpsc::UnboundedSender<(Duration, T)>,
    last: Duration,
}

impl<T> PipeEnd<T> {
    /// Sends an item; false when the connection is gone.
    pub(crate) fn send(&mut self, item: T) -> bool {
        let at = true_time() + self.network.delay(self.from, self.to);
        self.last = self.last.max(at);
        self.inlet.send((self.last, item)).is_ok()
    }
}
