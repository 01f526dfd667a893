//! `leasehold lock`: its command runs only while the lease is held, and never outlives it.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use harness::wire::acquire_waiting;
use harness::{Cluster, PATIENCE, pause, runs, text, wait_for};
use rustix::process::{Pid, Signal, kill_process};

/// A shell that starts a background child in its group, says both process ids, and waits for ever.
const FAMILY: &str = "sleep 1000 & echo $$ $! $LEASEHOLD_TOKEN; wait";

struct Family {
    lock: Child,
    shell: u32,
    child: u32,
    token: u64,
}

fn start_family(cluster: &Cluster, resource: &str, ttl: &str) -> Family {
    let mut lock = cluster
        .command(&["lock", resource, "--ttl", ttl, "--", "sh", "-c", FAMILY])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(lock.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let numbers: Vec<u64> =
        line.split_whitespace().map(|n| n.parse().expect("three numbers")).collect();
    let [shell, child, token] = numbers[..] else { panic!("not started: {line:?}") };
    let family = Family { lock, shell: shell as u32, child: child as u32, token };
    assert!(runs(family.shell) && runs(family.child));
    family
}

impl Family {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.lock), signal).unwrap();
    }

    fn all_gone(&self) -> bool {
        !runs(self.shell) && !runs(self.child)
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.lock), Signal::CONT);
        let _ = self.lock.kill();
        let _ = self.lock.wait();
    }
}

#[tokio::test]
async fn the_command_runs_with_resource_and_token_and_its_status_passes_through() {
    let cluster = Cluster::start(1).await;
    let script = "echo $LEASEHOLD_RESOURCE $LEASEHOLD_TOKEN; exit 42";
    let first = cluster.cli(&["lock", "job", "--", "sh", "-c", script]).await;
    assert_eq!(first.status.code(), Some(42), "{first:?}");
    let second = cluster.cli(&["lock", "job", "--", "sh", "-c", script]).await;
    let token = |output| {
        let printed = text(output);
        let (resource, token) = printed.split_once(' ').expect("two words");
        assert_eq!(resource, "job");
        token.parse::<u64>().unwrap()
    };
    assert!(
        token(&second) > token(&first),
        "the first was released, the second has a larger token"
    );
}

#[tokio::test]
async fn a_ttl_too_short_for_a_change_of_leader_is_said_to_be() {
    let cluster = Cluster::start(1).await;
    let said = async |ttl: &str| {
        let output = cluster.cli(&["lock", "job", "--ttl", ttl, "--", "true"]).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said("5s").await.contains("change of leader"));
    assert_eq!(said("6s").await, "");
}

#[tokio::test]
async fn two_contenders_never_run_at_once() {
    let cluster = Cluster::start(3).await;
    let directory = cluster.directory().join("inside");
    // mkdir is the witness: it fails if somebody else is inside.
    let script = format!("mkdir {0} || exit 99; sleep 0.05; rmdir {0}", directory.display());
    let contend = async |_| {
        cluster.cli(&["lock", "contended", "--wait", "60s", "--", "sh", "-c", &script]).await
    };
    let contenders = (0..6).map(contend);
    for output in futures_util::future::join_all(contenders).await {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[tokio::test]
async fn a_resource_held_by_another_exits_75_without_running_the_command() {
    let cluster = Cluster::start(1).await;
    let family = start_family(&cluster, "held", "30s");
    let refused = cluster.cli(&["lock", "held", "--wait", "300ms", "--", "echo", "ran"]).await;
    assert_eq!((refused.status.code(), text(&refused).as_str()), (Some(75), ""), "{refused:?}");
    drop(family);
}

#[tokio::test]
async fn a_signal_reaches_the_command_and_the_lease_is_released() {
    let cluster = Cluster::start(1).await;
    let mut family = start_family(&cluster, "signalled", "30s");
    family.signal(Signal::TERM);
    let status = wait_for("lock to end", || family.lock.try_wait().unwrap());
    assert_eq!(status.code(), Some(128 + 15), "{status:?}");
    assert!(family.all_gone());
    let next = cluster.cli(&["acquire", "signalled"]).await;
    assert_eq!(next.status.code(), Some(0), "released at once: {next:?}");
}

#[tokio::test]
async fn a_command_is_gone_before_the_lease_of_a_killed_lock_can_be_granted_again() {
    let cluster = Cluster::start(3).await;
    let family = start_family(&cluster, "killed", "3s");
    family.signal(Signal::KILL);
    let mut client = cluster.lease_client(0);
    let request = acquire_waiting("killed", "next", Duration::from_secs(30), PATIENCE);
    let lease = client.acquire(request).await.unwrap().into_inner().lease.unwrap();
    assert!(family.all_gone(), "the command outlived its lease");
    assert!(lease.token > family.token);
}

#[tokio::test]
async fn a_command_is_gone_before_the_lease_of_a_stopped_lock_can_be_granted_again() {
    let cluster = Cluster::start(3).await;
    let family = start_family(&cluster, "paused", "3s");
    pause(Pid::from_child(&family.lock));
    let mut client = cluster.lease_client(0);
    let request = acquire_waiting("paused", "next", Duration::from_secs(30), PATIENCE);
    client.acquire(request).await.unwrap();
    assert!(family.all_gone(), "the command outlived its lease");
}

#[tokio::test]
async fn a_lock_cut_off_from_the_cluster_stops_its_command_and_exits_76() {
    let mut cluster = Cluster::start(1).await;
    let mut family = start_family(&cluster, "cut", "3s");
    cluster.kill(0);
    let status = wait_for("lock to give up", || family.lock.try_wait().unwrap());
    assert_eq!(status.code(), Some(76), "{status:?}");
    assert!(family.all_gone());
    // Lease time stood still meanwhile, so the cluster cannot have granted it to anyone.
    cluster.start_node(0);
    cluster.wait_for_leader().await;
}

#[tokio::test]
async fn a_lock_goes_on_while_the_leader_changes() {
    let mut cluster = Cluster::start(3).await;
    let mut family = start_family(&cluster, "steady", "10s");
    for _ in 0..2 {
        let leader = cluster.wait_for_leader().await;
        cluster.kill(leader);
        cluster.wait_for_leader().await;
        cluster.start_node(leader);
    }
    // A renewal after the changes: the lease is still the same one.
    let got = cluster.cli(&["--output", "json", "get", "steady"]).await;
    let got: serde_json::Value = serde_json::from_str(&text(&got)).unwrap();
    assert_eq!(got["token"].as_u64(), Some(family.token), "{got}");
    assert!(family.lock.try_wait().unwrap().is_none() && runs(family.shell));
}
