//! Some nodes hear each other and some do not, in virtual time: whoever a majority hears leads, and
//! goes on leading. (Where the leader lost its majority and another node has one, terms used to rise
//! for hours: Cloudflare, 2 November 2020.)

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leasehold_clock::{Clock, Reading};
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{BootId, DiskId, Identity};
use leasehold_raft::{AsyncRuntime, Execution, Node, NodeConfig, NodeStatus, Role, Timing};
use openraft_rt_sim::{SimInstant, SimRuntime};
use support::net::Net;
use support::{Options, acquire, config, token};

/// Virtual time is every node's own clock.
#[derive(Clone, Copy, Debug)]
struct VirtualClock;

impl Clock for VirtualClock {
    fn read(&self) -> Reading {
        let now = SimInstant::try_now().map(SimInstant::elapsed_since_start).unwrap_or_default();
        Reading { monotonic: now, raw: now, boot: now }
    }
}

struct World {
    net: Net,
    nodes: BTreeMap<u64, Node<SimRuntime>>,
}

impl World {
    async fn start(count: u64) -> Self {
        let mut world = Self { net: Net::new(), nodes: BTreeMap::new() };
        let options = Options { nodes: count, ..Options::default() };
        for id in 1..=count {
            let own = [u8::try_from(id).expect("small"); 16];
            let disk = FakeDisk::new(id).mount();
            let identity = Identity::claim(&*disk, "test", id, DiskId(own), BootId(own));
            let identity = identity.expect("a new disk");
            let execution = Execution::Tasks { sync: Duration::from_micros(150) };
            let config = NodeConfig { execution, ..config(id, &options) };
            let transport = world.net.transport_on::<SimRuntime>(id, Duration::from_micros(100));
            let node = Node::start(config, identity, disk, Arc::new(VirtualClock), transport);
            let node = node.await.expect("the node starts");
            world.net.attach(id, node.peer_handler());
            world.nodes.insert(id, node);
        }
        world
    }

    /// Only these pairs hear each other from now on.
    fn connect_only(&self, pairs: &[(u64, u64)]) {
        self.net.heal();
        for from in self.nodes.keys() {
            for to in self.nodes.keys() {
                if !pairs.contains(&(*from, *to)) && !pairs.contains(&(*to, *from)) {
                    self.net.cut(*from, *to);
                }
            }
        }
    }

    async fn wait_until(&self, what: &str, wanted: impl Fn(&[NodeStatus]) -> bool) {
        for _ in 0..10_000 {
            let statuses: Vec<_> = self.nodes.values().map(Node::status).collect();
            if wanted(&statuses) {
                return;
            }
            SimRuntime::sleep(Duration::from_millis(2)).await;
        }
        panic!("{what}: not within 20 s");
    }

    async fn leader(&self) -> NodeStatus {
        let leads = |status: &NodeStatus| status.role == Role::Leader && status.serving;
        self.wait_until("a leader", |all| all.iter().any(leads)).await;
        let statuses = self.nodes.values().map(Node::status);
        statuses.filter(leads).max_by_key(|status| status.term).expect("waited for")
    }

    /// Everybody hears everybody, follows one leader and holds the same log. Returns the leader first.
    async fn whole_again(&self) -> Vec<u64> {
        self.net.heal();
        self.wait_until("the same log and leader everywhere", |all| {
            let seen = |one: &NodeStatus| (one.last_log_index, one.term, one.leader.clone());
            all.iter().all(|one| one.serving && seen(one) == seen(&all[0]))
        })
        .await;
        let leader = self.leader().await.node_id;
        let others = self.nodes.keys().copied().filter(|id| *id != leader);
        std::iter::once(leader).chain(others).collect()
    }

    /// What is asked of `hub` is granted within ten election timeouts, and for another five nobody
    /// stands for election.
    async fn is_led_in_peace(&self, hub: u64, resource: &str) {
        let patience = Timing::quick().election_max * 10;
        let wish = acquire(resource, 60_000);
        let granted = SimRuntime::timeout(patience, async {
            loop {
                let asked = self.nodes[&hub].propose(wish.clone());
                if let Ok(outcome) = asked.expect("there is room").await {
                    return token(&outcome);
                }
                SimRuntime::sleep(Duration::from_millis(10)).await;
            }
        });
        let granted = granted.await;
        assert!(matches!(granted, Ok(Some(_))), "{resource}: nothing granted");
        let term = self.nodes[&hub].status().term;
        for _ in 0..50 {
            SimRuntime::sleep(patience / 100).await;
            let status = self.nodes[&hub].status();
            assert!(status.serving && status.term == term, "{resource}: {term}, then {status:?}");
        }
    }

    async fn shutdown(self) {
        for node in self.nodes.values() {
            node.shutdown().await;
        }
    }
}

fn pairs_of(nodes: &[u64]) -> Vec<(u64, u64)> {
    let with_later = |(at, one): (usize, &u64)| {
        let one = *one;
        nodes[at + 1..].iter().map(move |other| (one, *other)).collect::<Vec<_>>()
    };
    nodes.iter().enumerate().flat_map(with_later).collect()
}

/// The pairs whose bits are set.
fn subset(bits: u32, pairs: &[(u64, u64)]) -> impl Iterator<Item = (u64, u64)> {
    pairs.iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0).map(|(_, pair)| *pair)
}

#[test]
fn a_leader_that_a_majority_hears_is_not_disturbed_by_those_that_do_not_hear_it() {
    for seed in 0..10 {
        SimRuntime::with_seed(seed).block_on(async move {
            let world = World::start(3).await;
            let [leader, hub, deaf] = world.whole_again().await[..] else { panic!("three nodes") };
            let term = world.leader().await.term;
            world.connect_only(&[(leader, hub), (hub, deaf)]);
            world.is_led_in_peace(hub, "chain").await;
            let now = world.nodes[&leader].status();
            assert_eq!((now.role, now.term), (Role::Leader, term), "seed {seed}");
            // Nor when they are heard again.
            world.whole_again().await;
            assert_eq!(world.leader().await.term, term, "seed {seed}");
            world.shutdown().await;
        });
    }
}

#[test]
fn five_nodes_of_which_one_hears_all_are_led_in_peace_whoever_else_hears_whom() {
    for (seed, hub_leads) in [(1, true), (2, false)] {
        SimRuntime::with_seed(seed).block_on(async move {
            let world = World::start(5).await;
            for set in 0..1 << 6 {
                let mut nodes = world.whole_again().await;
                let hub = nodes.remove(usize::from(!hub_leads));
                let mut pairs: Vec<_> = nodes.iter().map(|other| (hub, *other)).collect();
                pairs.extend(subset(set, &pairs_of(&nodes)));
                world.connect_only(&pairs);
                world.is_led_in_peace(hub, &format!("hub leads {hub_leads}/set {set}")).await;
            }
            world.shutdown().await;
        });
    }
}
