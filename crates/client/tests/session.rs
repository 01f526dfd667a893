//! The session against a fake cluster on loopback: what the application sees, and what the cluster
//! gets. Time is the test's own; nothing here asserts how long anything took.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::time::Duration;

use leasehold_client::message::{Answer, Command};
use leasehold_client::{AcquireError, LeaseState, LostReason};
use leasehold_clock::Clock;
use leasehold_types::{
    Acquire, EndReason, Holder, LeaseTtl, Refusal, RequestId, ResourceName, WaitLimit,
};
use support::fake_lease::{CLUSTER_ID, FakeCluster};
use support::{ManualClock, client, ms, until, until_as_time_passes, within};

const TTL: Duration = Duration::from_secs(9);
const STEP: Duration = Duration::from_millis(20);

/// Somebody else's claim, straight into the cluster.
fn foreign(resource: &str, id: u8, wait_ms: u64) -> Command {
    Command::Acquire(Acquire {
        resource: ResourceName::new(resource).unwrap(),
        holder: Holder::new("somebody else").unwrap(),
        request: RequestId::from_bytes([id; 16]),
        ttl: LeaseTtl::from_ms(3_600_000).unwrap(),
        wait: WaitLimit::from_ms(wait_ms).unwrap(),
    })
}

fn yes(so: bool) -> Option<()> {
    so.then_some(())
}

/// Moves the clock past the next renewal and waits until the cluster has it.
async fn renew(cluster: &FakeCluster, clock: &ManualClock) {
    let before = cluster.renewals().len();
    clock.advance(TTL / 3);
    until("a renewal", || yes(cluster.renewals().len() > before)).await;
}

#[tokio::test]
async fn a_lease_is_acquired_renewed_and_released() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    assert_eq!((guard.resource(), guard.token().get(), guard.ttl()), ("r", 1, TTL));
    assert_eq!(guard.cluster_id(), CLUSTER_ID);
    let bound = guard.bound();
    renew(&cluster, &clock).await;
    until("the bound moves on", || yes(guard.bound() != bound)).await;
    assert_eq!(guard.check().unwrap().get(), 1);
    assert!(within(guard.release()).await.unwrap());
    assert!(cluster.is_free("r"));
}

#[tokio::test]
async fn dropping_a_guard_releases() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    drop(within(client.acquire("r").ttl(TTL)).await.unwrap());
    until("the release", || yes(cluster.is_free("r"))).await;
    assert!(matches!(cluster.ends()[..], [Command::Release { .. }]));
}

#[tokio::test]
async fn a_release_that_fails_is_repeated() {
    let (cluster, clock) = FakeCluster::start(2).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    cluster.lead(0);
    let release = tokio::spawn(guard.release());
    until_as_time_passes("refused releases", &clock, STEP, || yes(cluster.ends().len() > 2)).await;
    cluster.lead(1);
    until_as_time_passes("the release", &clock, STEP, || yes(release.is_finished())).await;
    assert!(within(release).await.unwrap().unwrap());
}

#[tokio::test]
async fn dropping_a_pending_acquire_cancels_it() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.apply(&foreign("r", 9, 0));
    let client = client(cluster.endpoints(), &clock);
    let pending = tokio::spawn(client.acquire("r").ttl(TTL).wait(TTL).into_future());
    let id = until("the acquire", || cluster.acquires().first().copied()).await;
    pending.abort();
    until("the cancel", || yes(cluster.ends() == [Command::Cancel(id)])).await;
}

#[tokio::test]
async fn story_1_a_lost_answer_is_asked_for_again_with_the_same_id_and_the_bound_counts_from_the_first()
 {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    cluster.harm(1, |faults| faults.answers_to_lose = 1);
    let pending = tokio::spawn(client.acquire("r").ttl(TTL).into_future());
    until("the first attempt", || yes(cluster.acquires().len() == 1)).await;
    let granted = clock.read();
    until_as_time_passes("an answer", &clock, STEP, || yes(pending.is_finished())).await;
    let guard = within(pending).await.unwrap().unwrap();
    let ids = cluster.acquires();
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(cluster.grants("r"), 1);
    let most = TTL.saturating_sub(clock.read().holder_elapsed_since(&granted));
    assert!(guard.bound().remaining(&clock.read()) <= most, "not from the repetition");
}

#[tokio::test]
async fn story_4_a_claim_whose_node_broke_is_the_same_claim_through_another() {
    let (cluster, clock) = FakeCluster::start(2).await;
    cluster.say_leader_is_at("leader.invalid:1");
    let client = client(cluster.endpoints(), &clock);
    for node in [1, 2] {
        cluster.harm(node, |faults| faults.answers_to_lose = 1);
    }
    let pending = tokio::spawn(client.acquire("r").ttl(TTL).into_future());
    until("the first attempt", || yes(cluster.acquires().len() == 1)).await;
    let first = cluster.log()[0].node;
    cluster.harm(first, |faults| faults.down = true);
    cluster.harm(3 - first, |faults| faults.answers_to_lose = 0);
    cluster.break_streams(first);
    until_as_time_passes("the grant", &clock, ms(5), || yes(pending.is_finished())).await;
    let guard = within(pending).await.unwrap().unwrap();
    let ids = cluster.acquires();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!((cluster.grants("r"), guard.token().get()), (1, 1));
    assert_eq!(cluster.log().last().unwrap().node, 3 - first);
}

#[tokio::test]
async fn story_5_a_no_comes_after_a_cancel_and_the_attempt_that_wakes_up_later_is_granted_nothing()
{
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    cluster.harm(1, |faults| faults.acquires_to_hold_back = 1);
    let pending = tokio::spawn(client.acquire("r").ttl(TTL).into_future());
    until("the first attempt", || yes(cluster.acquires().len() == 1)).await;
    cluster.apply(&foreign("r", 9, 0));
    until_as_time_passes("an answer", &clock, STEP, || yes(pending.is_finished())).await;
    let no = within(pending).await.unwrap().unwrap_err();
    assert!(matches!(no, AcquireError::Refused(Refusal::Held { .. })), "{no}");
    assert_eq!(cluster.ends(), [Command::Cancel(cluster.acquires()[0])], "before it was said");
    cluster.apply(&Command::Cancel(RequestId::from_bytes([9; 16])));
    let answers = cluster.wake_held_back();
    assert!(matches!(answers[..], [Answer::Failed { .. }]), "{answers:?}");
    assert!(cluster.is_free("r"));
}

#[tokio::test]
async fn story_6_a_grant_whose_push_was_lost_is_found_by_the_next_renewal() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.harm(1, |faults| faults.no_pushes = true);
    cluster.apply(&foreign("r", 9, 0));
    let client = client(cluster.endpoints(), &clock);
    let pending = tokio::spawn(client.acquire("r").ttl(TTL).wait(TTL * 10).into_future());
    until("the claim waits", || yes(cluster.acquires().len() == 1)).await;
    cluster.apply(&Command::Cancel(RequestId::from_bytes([9; 16])));
    until_as_time_passes("the grant", &clock, STEP, || yes(pending.is_finished())).await;
    assert_eq!(within(pending).await.unwrap().unwrap().token().get(), 2);
}

#[tokio::test]
async fn a_pushed_grant_is_renewed_before_it_is_a_lease() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.apply(&foreign("r", 9, 0));
    let client = client(cluster.endpoints(), &clock);
    let pending = tokio::spawn(client.acquire("r").ttl(TTL).wait(TTL).into_future());
    until("the claim waits", || yes(cluster.acquires().len() == 1)).await;
    // A moment of time, so that the bound on messages lets the renewal out.
    clock.advance(ms(50));
    assert!(cluster.renewals().is_empty());
    cluster.apply(&Command::Cancel(RequestId::from_bytes([9; 16])));
    let guard = within(pending).await.unwrap().unwrap();
    assert_eq!(guard.token().get(), 2);
    assert_eq!(cluster.renewals(), [cluster.acquires()]);
}

#[tokio::test]
async fn silence_makes_a_lease_uncertain_and_then_lost_at_the_bound_and_it_is_released_afterwards()
{
    let (cluster, clock) = FakeCluster::start(2).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    let bound = guard.bound();
    let lost = {
        let mut changes = guard.changes();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while changes.changed().await.is_ok() {
                let state = *changes.borrow_and_update();
                seen.push(state);
                if !state.may_act() {
                    break;
                }
            }
            seen
        })
    };
    for node in [1, 2] {
        cluster.harm(node, |faults| faults.mute = true);
    }
    until_as_time_passes("the loss", &clock, STEP, || {
        let state = guard.state();
        assert_eq!(state.may_act(), !bound.has_come(&clock.read()), "at the bound, not later");
        yes(!state.may_act())
    })
    .await;
    assert_eq!(within(guard.lost()).await, LostReason::BoundPassed);
    assert_eq!(guard.check(), Err(LostReason::BoundPassed));
    let seen = within(lost).await.unwrap();
    assert!(
        matches!(seen[..], [LeaseState::Uncertain { .. }, LeaseState::Lost { .. }]),
        "{seen:?}"
    );
    for node in [1, 2] {
        cluster.harm(node, |faults| faults.mute = false);
    }
    until_as_time_passes("the release of the ghost", &clock, STEP, || {
        yes(matches!(cluster.ends().last(), Some(Command::Release { .. })))
    })
    .await;
    assert_eq!(guard.check(), Err(LostReason::BoundPassed), "once lost, always lost");
}

#[tokio::test]
async fn suspension_is_noticed_at_the_next_check_without_any_timer() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    assert!(guard.check().is_ok());
    clock.suspend(TTL);
    assert_eq!(guard.check(), Err(LostReason::BoundPassed));
}

#[tokio::test]
async fn lost_resolves_when_the_clock_has_passed_the_bound() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    let waiting = guard.lost();
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        reason = &mut waiting => panic!("{reason}"),
        () = tokio::task::yield_now() => {}
    }
    clock.suspend(TTL);
    assert_eq!(within(waiting).await, LostReason::BoundPassed);
}

#[tokio::test]
async fn a_lease_that_somebody_ended_by_force_is_lost_with_that_reason() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    cluster.apply(&Command::Cancel(cluster.acquires()[0]));
    clock.advance(TTL / 3);
    assert_eq!(within(guard.lost()).await, LostReason::Ended(EndReason::Cancelled));
}

#[tokio::test]
async fn all_renewals_that_are_due_go_in_one_message() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let mut guards = Vec::new();
    for at in 0..50 {
        guards.push(within(client.acquire(&format!("r{at}")).ttl(TTL)).await.unwrap());
    }
    clock.advance(TTL / 3);
    let first = until("a renewal", || cluster.renewals().first().cloned()).await;
    assert_eq!(first.len(), guards.len());
}

#[tokio::test]
async fn a_client_goes_to_the_leader_and_follows_it() {
    let (cluster, clock) = FakeCluster::start(3).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    // Moves are paced by the clock, and the first may have come before it was seen to be needed.
    until_as_time_passes("the stream to node 1", &clock, ms(1), || yes(cluster.streams(1) == 1))
        .await;
    clock.advance(ms(500));
    cluster.lead(3);
    until("the stream to node 3", || yes(cluster.streams(3) == 1)).await;
    until("the old stream closes", || yes(cluster.streams(1) == 0)).await;
    renew(&cluster, &clock).await;
    assert_eq!(cluster.log().last().unwrap().node, 3);
    assert!(guard.check().is_ok());
}

#[tokio::test]
async fn a_node_that_does_not_forward_names_the_leader_and_the_client_goes_there() {
    let (cluster, clock) = FakeCluster::start(2).await;
    let client = client(vec![cluster.endpoint(2)], &clock);
    cluster.harm(2, |faults| faults.does_not_forward = true);
    let pending = tokio::spawn(client.acquire("r").ttl(TTL).into_future());
    until_as_time_passes("the grant", &clock, ms(5), || yes(pending.is_finished())).await;
    within(pending).await.unwrap().unwrap();
    assert_eq!(cluster.log().last().unwrap().node, 1);
}

#[tokio::test]
async fn where_the_leaders_address_cannot_be_reached_any_node_forwards() {
    let (cluster, clock) = FakeCluster::start(2).await;
    cluster.say_leader_is_at("127.0.0.1:1");
    let client = client(vec![cluster.endpoint(2)], &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    renew(&cluster, &clock).await;
    assert!(cluster.log().iter().all(|logged| logged.node == 2));
    assert!(guard.check().is_ok());
}

#[tokio::test]
async fn a_stream_that_is_silent_is_left_for_another_node_before_the_lease_is_lost() {
    let (cluster, clock) = FakeCluster::start(2).await;
    // Nobody says who leads, so the client stays wherever it began.
    cluster.say_leader_is_at("nowhere");
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    let silent = cluster.log()[0].node;
    cluster.harm(silent, |faults| faults.mute = true);
    until_as_time_passes("a renewal elsewhere", &clock, STEP, || {
        yes(cluster.log().iter().any(|logged| logged.node != silent))
    })
    .await;
    until("it is held again", || yes(matches!(guard.state(), LeaseState::Held { .. }))).await;
    assert_eq!(cluster.grants("r"), 1);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_from_the_others_is_left_though_it_answers() {
    let (cluster, clock) = FakeCluster::start(2).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    until_as_time_passes("the stream to node 1", &clock, ms(1), || yes(cluster.streams(1) == 1))
        .await;
    cluster.harm(1, |faults| faults.cut_off = true);
    until_as_time_passes("a renewal elsewhere", &clock, STEP, || {
        yes(cluster.log().last().is_some_and(|logged| logged.node == 2))
    })
    .await;
    until("it is held again", || yes(matches!(guard.state(), LeaseState::Held { .. }))).await;
    assert_eq!(cluster.grants("r"), 1);
}

#[tokio::test]
async fn a_broken_stream_is_made_again_and_the_lease_goes_on() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    for _ in 0..3 {
        cluster.break_streams(1);
        until("a new stream", || yes(cluster.streams(1) == 1)).await;
        renew(&cluster, &clock).await;
    }
    assert!(guard.check().is_ok());
}

#[tokio::test]
async fn answers_that_come_twice_change_nothing() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.harm(1, |faults| faults.twice = true);
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    for _ in 0..3 {
        renew(&cluster, &clock).await;
    }
    assert!(within(guard.release()).await.unwrap());
    assert_eq!(cluster.grants("r"), 1);
}

#[tokio::test]
async fn a_taken_resource_is_refused_with_who_holds_it() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.apply(&foreign("r", 9, 0));
    let client = client(cluster.endpoints(), &clock);
    match within(client.acquire("r").ttl(TTL)).await.unwrap_err() {
        AcquireError::Refused(Refusal::Held { resource, by }) => {
            assert_eq!((resource.as_str(), by.token.get()), ("r", 1));
        }
        other => panic!("{other}"),
    }
    assert_eq!(cluster.ends(), [], "nothing to cancel");
}

#[tokio::test]
async fn a_cluster_that_never_answers_is_a_fault_and_not_a_no() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.harm(1, |faults| faults.mute = true);
    let client = client(cluster.endpoints(), &clock);
    let pending = tokio::spawn(client.acquire("r").ttl(TTL).into_future());
    until_as_time_passes("patience ends", &clock, STEP, || yes(pending.is_finished())).await;
    match within(pending).await.unwrap().unwrap_err() {
        AcquireError::Fault(fault) => assert!(!fault.surely_not_applied(), "{fault}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_node_of_another_cluster_is_not_used() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let other = FakeCluster::of("another", 1, &clock).await;
    let endpoints = vec![cluster.endpoint(1), other.endpoint(1)];
    let client = client(endpoints, &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    let (mine, theirs) = match guard.cluster_id() {
        CLUSTER_ID => (&cluster, &other),
        _ => (&other, &cluster),
    };
    mine.harm(1, |faults| faults.down = true);
    mine.break_streams(1);
    clock.advance(TTL / 3);
    until_as_time_passes("uncertain", &clock, STEP, || {
        yes(!matches!(guard.state(), LeaseState::Held { .. }))
    })
    .await;
    mine.harm(1, |faults| faults.down = false);
    until("it is held again", || yes(matches!(guard.state(), LeaseState::Held { .. }))).await;
    assert!(theirs.log().is_empty(), "{:?}", theirs.log());
}

#[tokio::test]
async fn a_guard_outlives_its_client() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let guard = within(client.acquire("r").ttl(TTL)).await.unwrap();
    drop(client);
    renew(&cluster, &clock).await;
    assert!(guard.check().is_ok());
    drop(guard);
    until("the release", || yes(cluster.is_free("r"))).await;
    until("the task ends and its stream closes", || yes(cluster.streams(1) == 0)).await;
}

#[tokio::test]
async fn a_lease_that_is_left_is_neither_released_nor_renewed() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let bound = within(client.acquire("r").ttl(TTL)).await.unwrap().leave();
    assert!(!bound.has_come(&clock.read()));
    drop(client);
    until("the task ends and its stream closes", || yes(cluster.streams(1) == 0)).await;
    assert_eq!(cluster.holder("r"), Some(1));
    assert_eq!((cluster.ends(), cluster.renewals()), (vec![], vec![]));
}

#[tokio::test]
async fn waiters_of_two_clients_are_served_in_turn() {
    let (cluster, clock) = FakeCluster::start(2).await;
    let (one, two) = (client(cluster.endpoints(), &clock), client(cluster.endpoints(), &clock));
    let guard = one.acquire("r").ttl(TTL).await.unwrap();
    let pending = tokio::spawn(two.acquire("r").ttl(TTL).wait(TTL).into_future());
    until("the second waits", || yes(cluster.acquires().len() == 2)).await;
    drop(guard);
    until_as_time_passes("the second holds", &clock, ms(5), || yes(pending.is_finished())).await;
    assert_eq!(within(pending).await.unwrap().unwrap().token().get(), 2);
}

#[tokio::test]
async fn a_bad_field_is_named_and_nothing_is_sent() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    let field = |error| match error {
        AcquireError::BadField(bad) => bad.field.into_owned(),
        other => panic!("{other}"),
    };
    assert_eq!(field(within(client.acquire("")).await.unwrap_err()), "resource");
    assert_eq!(field(within(client.acquire("r").ttl(Duration::ZERO)).await.unwrap_err()), "ttl");
    assert_eq!(field(within(client.acquire("r").wait(TTL * 100_000)).await.unwrap_err()), "wait");
    assert_eq!(field(within(client.acquire("r").holder("a\nb")).await.unwrap_err()), "holder");
    assert!(cluster.log().is_empty());
}
