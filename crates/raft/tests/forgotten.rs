//! Nodes that forgot, and peers that were away when it happened.

mod support;

use std::time::Duration;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{BootId, DiskId, Identity, PeerMemory, RecordStream, StreamOptions};
use leasehold_raft::transport::PeerFault;
use leasehold_raft::{Limits, Role, pb};
use support::{BOUND, Cluster, Options, acquire, grant, try_ask, until};
use tokio::time::timeout;

/// Long enough for several elections.
const ELECTIONS: Duration = Duration::from_millis(2_000);

/// With the node that nobody doubts there is a majority, and it grants.
async fn serves_again_with(mut cluster: Cluster, node: u64) {
    cluster.start_node(node).await;
    grant(cluster.node(node), "after", 10_000).await;
    cluster.shutdown().await;
}

/// Nobody leads, however long it takes.
async fn nobody_serves(cluster: &Cluster) {
    let watched = cluster.others(0).into_iter().map(|id| {
        let mut status = cluster.node(id).watch_status();
        async move { status.wait_for(|status| status.role == Role::Leader).await }
    });
    let led = timeout(ELECTIONS, futures_util::future::select_all(watched.map(Box::pin))).await;
    assert!(led.is_err(), "somebody leads: {:#?}", cluster.statuses());
    for id in cluster.others(0) {
        let answer = try_ask(cluster.node(id), acquire("by those who forgot", 10_000)).await;
        assert!(answer.is_err(), "{answer:?}");
    }
}

async fn wipe(cluster: &mut Cluster, id: u64) {
    cluster.kill(id).await;
    cluster.disks.insert(id, FakeDisk::new(100 + id));
    cluster.start_node(id).await;
}

/// Waits until the node remembers that start of another one.
async fn heard_of(cluster: &Cluster, node: u64, start: &pb::Facts) {
    let heard = timeout(BOUND, async {
        loop {
            let known = PeerMemory::open(cluster.disks[&node].image().mount()).expect("a memory");
            let mut seen = known.seen();
            if seen.any(|(id, seen)| id == start.node_id && seen.incarnation == start.incarnation) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    heard.await.expect("the leader tells its followers of each other");
}

/// A leader, the follower that shares its knowledge, and one that is away meanwhile and never talked
/// to that follower.
async fn acknowledged_by_two(cluster: &mut Cluster) -> (u64, u64, u64) {
    let leader = cluster.leader().await;
    cluster.settle().await;
    let [knows, away] = cluster.others(leader)[..] else { panic!("three nodes") };
    cluster.kill(away).await;
    for n in 0..5 {
        grant(cluster.node(leader), &format!("acknowledged/{n}"), 600_000).await;
    }
    (leader, knows, away)
}

#[tokio::test]
async fn a_wiped_follower_makes_no_majority_with_one_that_was_away() {
    let mut cluster = Cluster::start(Options::default()).await;
    let (leader, knows, away) = acknowledged_by_two(&mut cluster).await;
    cluster.kill(leader).await;
    wipe(&mut cluster, knows).await;
    cluster.start_node(away).await;
    nobody_serves(&cluster).await;
    // The one that knows is back: with it there is a majority that forgot nothing.
    cluster.start_node(leader).await;
    let granted = grant(cluster.node(leader), "after", 10_000).await;
    assert!(granted.get() > 5, "{granted}");
    cluster.shutdown().await;
}

/// The first entry of the log, as the leader would send it to a member that has none.
fn founding_entry(cluster: &Cluster, leader: u64, founded: &[pb::Facts]) -> pb::AppendRequest {
    let listed = |facts: &pb::Facts| pb::Member {
        node_id: facts.node_id,
        client_address: "client".to_owned(),
        peer_address: "peer".to_owned(),
        disk_id: facts.disk_id.clone(),
    };
    let voters = pb::VoterSet { node_ids: founded.iter().map(|facts| facts.node_id).collect() };
    let members =
        pb::Membership { voter_sets: vec![voters], members: founded.iter().map(listed).collect() };
    let log_id = Some(pb::LogId { term: 0, index: 0 });
    let payload = Some(pb::entry::Payload::Membership(members));
    let term = cluster.node(leader).status().term;
    pb::AppendRequest {
        vote: Some(pb::Vote { term, node_id: leader, committed: true }),
        previous: None,
        entries: vec![pb::Entry { log_id, payload }],
        committed: log_id,
        known: Vec::new(),
        reached: 0,
        others: Vec::new(),
    }
}

#[tokio::test]
async fn a_wiped_follower_that_was_given_a_part_of_the_log_again_is_not_elected() {
    let mut cluster = Cluster::start(Options::default()).await;
    let founded: Vec<_> =
        cluster.others(0).iter().map(|id| cluster.node(*id).peer_handler().facts()).collect();
    let (leader, knows, away) = acknowledged_by_two(&mut cluster).await;
    wipe(&mut cluster, knows).await;
    let entry = founding_entry(&cluster, leader, &founded);
    let from = Some(cluster.node(leader).peer_handler().facts());
    let call = pb::Call { from, to_node_id: knows };
    let wiped = cluster.node(knows).peer_handler();
    wiped.append(call.clone(), entry.clone()).await.expect("it knows of no cluster yet");
    let answer = wiped.append(call, entry).await;
    assert!(
        matches!(&answer, Err(PeerFault::NotBelieved { why }) if why.contains("takes no part")),
        "{answer:?}"
    );
    until(cluster.node(knows), "the list of members", |status| status.members.len() == 3).await;
    cluster.kill(leader).await;
    cluster.start_node(away).await;
    nobody_serves(&cluster).await;
    serves_again_with(cluster, leader).await;
}

#[tokio::test]
async fn two_wiped_members_do_not_found_the_cluster_again() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.settle().await;
    for id in [1, 2, 3] {
        cluster.kill(id).await;
    }
    for id in [1, 2] {
        cluster.disks.insert(id, FakeDisk::new(100 + id));
    }
    for id in [1, 2, 3] {
        cluster.start_node(id).await;
    }
    nobody_serves(&cluster).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_member_of_a_cluster_refuses_to_be_founded_with_by_a_wiped_founder() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.settle().await;
    wipe(&mut cluster, 1).await;
    let founder = cluster.node(1).peer_handler().facts();
    for member in [2, 3] {
        let call = pb::Call { from: Some(founder.clone()), to_node_id: member };
        let handler = cluster.node(member).peer_handler();
        let answer = handler.introduce(call, pb::IntroduceRequest {}).await;
        let refused =
            matches!(&answer, Err(PeerFault::NotBelieved { why }) if why.contains("wiped"));
        assert!(refused, "{answer:?}");
    }
    let (second, third) = (cluster.node(2).peer_handler(), cluster.node(3).peer_handler());
    let call = pb::Call { from: Some(second.facts()), to_node_id: 3 };
    let answer = third.introduce(call, pb::IntroduceRequest {}).await;
    assert!(
        matches!(&answer, Err(PeerFault::NotBelieved { why }) if why.contains("[1, 2, 3]")),
        "{answer:?}"
    );
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_cluster_is_founded_when_all_its_members_are_up_and_not_before() {
    let mut cluster = Cluster::prepare(Options::default());
    cluster.start_node(1).await;
    cluster.start_node(2).await;
    nobody_serves(&cluster).await;
    assert!(cluster.statuses().iter().all(|status| status.last_log_index.is_none()));
    cluster.start_node(3).await;
    let leader = cluster.leader().await;
    grant(cluster.node(leader), "first", 10_000).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_old_copy_of_a_disk_is_refused_by_a_peer_that_was_only_told_of_the_later_start() {
    let mut cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    cluster.settle().await;
    let [copied, told] = cluster.others(leader)[..] else { panic!("three nodes") };
    // Whatever happens, these two never hear each other before the copy is put back.
    let deaf = |cluster: &Cluster| {
        cluster.net.cut(copied, told);
        cluster.net.cut(told, copied);
    };
    cluster.kill(copied).await;
    let copy = cluster.disks[&copied].image();
    deaf(&cluster);
    cluster.start_node(copied).await;
    let later = cluster.node(copied).peer_handler().facts();
    heard_of(&cluster, told, &later).await;
    cluster.kill(told).await;
    deaf(&cluster);
    grant(cluster.node(leader), "acknowledged", 600_000).await;
    cluster.kill(leader).await;
    cluster.kill(copied).await;
    cluster.disks.insert(copied, copy);
    cluster.start_node(copied).await;
    cluster.start_node(told).await;
    nobody_serves(&cluster).await;
    serves_again_with(cluster, leader).await;
}

#[tokio::test]
async fn an_old_copy_of_a_disk_that_is_started_again_and_again_is_refused_all_the_same() {
    let mut cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    cluster.settle().await;
    let [copied, away] = cluster.others(leader)[..] else { panic!("three nodes") };
    cluster.kill(copied).await;
    let copy = cluster.disks[&copied].image();
    cluster.start_node(copied).await;
    let later = cluster.node(copied).peer_handler().facts();
    heard_of(&cluster, away, &later).await;
    cluster.kill(away).await;
    grant(cluster.node(leader), "acknowledged", 600_000).await;
    cluster.kill(leader).await;
    cluster.kill(copied).await;
    cluster.disks.insert(copied, copy);
    for _ in 0..3 {
        cluster.start_node(copied).await;
        cluster.kill(copied).await;
    }
    cluster.start_node(copied).await;
    assert!(cluster.node(copied).peer_handler().facts().incarnation > later.incarnation);
    cluster.start_node(away).await;
    nobody_serves(&cluster).await;
    let call =
        pb::Call { from: Some(cluster.node(copied).peer_handler().facts()), to_node_id: away };
    let answer = cluster.node(away).peer_handler().introduce(call, pb::IntroduceRequest {}).await;
    let refused =
        matches!(&answer, Err(PeerFault::NotBelieved { why }) if why.contains("old copy"));
    assert!(refused, "{answer:?}");
    serves_again_with(cluster, leader).await;
}

/// Whether the disk of a node remembers enough to refuse a copy of another one's.
fn would_refuse(cluster: &Cluster, node: u64, copied: u64, copy: &FakeDisk) -> bool {
    let disk_id = cluster.node(copied).peer_handler().facts().disk_id;
    let (mount, disk_id) = (copy.image().mount(), DiskId(disk_id[..].try_into().expect("an id")));
    let claimed = Identity::claim(&*mount, "test", copied, disk_id, BootId([0xCC; 16]));
    let mut claimed = claimed.expect("a copy of the disk of a node");
    let opened = RecordStream::open(mount.clone(), StreamOptions::new(disk_id));
    let (stream, _, _) = opened.expect("a copy of a whole log");
    claimed.opened(&*mount, stream.synced_group()).expect("the disk is well");
    let memory = PeerMemory::open(cluster.disks[&node].image().mount());
    memory.expect("a memory").admit(copied, claimed.start).is_err()
}

#[tokio::test]
async fn a_copy_made_while_the_node_ran_is_refused_by_the_leader_it_acknowledged_to() {
    let mut cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    cluster.settle().await;
    let [copied, away] = cluster.others(leader)[..] else { panic!("three nodes") };
    cluster.kill(away).await;
    let copy = cluster.disks[&copied].image();
    grant(cluster.node(leader), "acknowledged", 600_000).await;
    cluster.kill(copied).await;
    let forgot_nothing = cluster.disks.insert(copied, copy).expect("its disk");
    cluster.start_node(copied).await;
    let call =
        pb::Call { from: Some(cluster.node(copied).peer_handler().facts()), to_node_id: leader };
    let answer =
        cluster.node(leader).peer_handler().read_index(call, pb::ReadIndexRequest {}).await;
    let refused =
        matches!(&answer, Err(PeerFault::NotBelieved { why }) if why.contains("old copy"));
    assert!(refused, "{answer:?}");
    // With the disk itself everything is well again.
    cluster.kill(copied).await;
    cluster.disks.insert(copied, forgot_nothing);
    cluster.start_node(copied).await;
    let leader = cluster.leader().await;
    grant(cluster.node(leader), "after", 10_000).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_copy_made_while_the_node_ran_is_refused_by_a_peer_that_was_only_told_and_started_again()
{
    let limits = Limits { groups_unnoted_max: 1, ..Limits::default() };
    let mut cluster = Cluster::start(Options { limits, ..Options::default() }).await;
    let leader = cluster.leader().await;
    cluster.settle().await;
    let [copied, told] = cluster.others(leader)[..] else { panic!("three nodes") };
    let copy = cluster.disks[&copied].image();
    cluster.net.cut(copied, told);
    cluster.net.cut(told, copied);
    grant(cluster.node(leader), "known to all", 600_000).await;
    let noted = timeout(BOUND, async {
        while !would_refuse(&cluster, told, copied, &copy) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    noted.await.expect("the leader tells its followers how far each other has come");
    cluster.kill(told).await;
    grant(cluster.node(leader), "acknowledged", 600_000).await;
    cluster.kill(leader).await;
    cluster.kill(copied).await;
    cluster.disks.insert(copied, copy);
    // However often it is started, and whatever it writes meanwhile.
    for _ in 0..2 {
        cluster.start_node(copied).await;
        cluster.kill(copied).await;
    }
    cluster.start_node(copied).await;
    cluster.start_node(told).await;
    nobody_serves(&cluster).await;
    serves_again_with(cluster, leader).await;
}

#[tokio::test]
async fn a_node_whose_power_is_cut_is_believed_however_much_it_had_acknowledged() {
    let limits = Limits { groups_unnoted_max: 1, ..Limits::default() };
    let mut cluster = Cluster::start(Options { limits, ..Options::default() }).await;
    for round in 0..4 {
        let leader = cluster.leader().await;
        for n in 0..5 {
            grant(cluster.node(leader), &format!("{round}/{n}"), 600_000).await;
        }
        let cut = 1 + (leader + round) % 3;
        cluster.kill(cut).await;
        cluster.disks[&cut].crash_keeping(|_| false);
        cluster.start_node(cut).await;
        cluster.leader().await;
        cluster.settle().await;
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_whose_memory_of_its_peers_is_missing_does_not_start() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.kill(3).await;
    cluster.disks[&3].lose("peers").expect("it was made at the first start");
    let refused = cluster.try_start_node(3).await.expect_err("it forgot whom to believe");
    assert!(refused.to_string().contains("peers is damaged: it is missing"), "{refused}");
    cluster.shutdown().await;
}
