//! Revisions, reads and snapshots.

use leasehold_core::{Applied, Command, LeaseState};
use leasehold_types::LeaseTime;

use super::support::tell::*;

#[test]
fn two_events_of_one_batch_have_revisions_between_which_a_watch_can_be_cut() {
    let mut state = LeaseState::new(settings());
    let first = state.apply(LeaseTime(0), &[acquire("ann"), wait("bob", 60_000), renew(&[1], &[])]);
    let revisions = |applied: &Applied| {
        let of_outcomes = applied.outcomes.iter().map(|outcome| outcome.revision.0).collect();
        let of_events = applied.events.iter().map(|event| event.revision.0).collect();
        (of_outcomes, of_events)
    };
    // The renewal is applied first: 1. Acquire and its grant: 2, 3. Joining the queue: 4.
    assert_eq!(revisions(&first), (vec![3, 4, 1], vec![3, 4]));
    let second = state.apply(LeaseTime(1), &[PULSE, release("lock", 1), PULSE]);
    // Pulse: 5. Release, the end and the grant that it causes: 6, 7, 8. Pulse: 9.
    assert_eq!(revisions(&second), (vec![5, 8, 9], vec![7, 8]));
    let third = state.apply(LeaseTime(20_000), &[PULSE]);
    // What time ends comes before the commands.
    assert_eq!(revisions(&third), (vec![11], vec![10]));
    assert_eq!(state.revision().0, 11);
}

#[test]
fn resources_are_listed_in_byte_order_by_prefix_and_page() {
    let mut state = LeaseState::new(settings());
    let names = ["jobs/b", "jobs/a", "job", "jobs/a/1", "jobz", "jobs0", "jobs/é"];
    for (index, name) in names.iter().enumerate() {
        state.apply(LeaseTime(index as u64), &[acquire(&format!("h{index}@{name}"))]);
    }
    state.apply(LeaseTime(10), &[wait("late@jobs/a", 60_000)]);
    let names = |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        let views = state.list(prefix, after, limit);
        views.iter().map(|view| view.lease.resource.to_string()).collect()
    };
    assert_eq!(names("jobs/", None, 9), ["jobs/a", "jobs/a/1", "jobs/b", "jobs/é"]);
    assert_eq!(names("jobs/", None, 2), ["jobs/a", "jobs/a/1"]);
    assert_eq!(names("jobs/", Some("jobs/a/1"), 2), ["jobs/b", "jobs/é"]);
    assert_eq!(names("jobs/", Some("a"), 1), ["jobs/a"]);
    assert_eq!(names("jobs/", Some("k"), 9), [""; 0]);
    assert_eq!(
        names("", None, 9),
        ["job", "jobs/a", "jobs/a/1", "jobs/b", "jobs/é", "jobs0", "jobz"]
    );
    assert_eq!(names("nobody", None, 9), [""; 0]);

    let view = state.get("jobs/a").expect("it is held");
    assert_eq!((view.held_for_ms, view.queue_length, view.lease.valid_for_ms), (9, 1, 9_991));
    assert_eq!(state.get("jobs"), None);
}

#[test]
fn stamps_are_needed_while_a_claim_lives_or_an_id_is_remembered() {
    let mut state = LeaseState::new(settings());
    let mut needed_after = |at, command: Command| {
        state.apply(LeaseTime(at), &[command]);
        state.has_live_claims_or_memory()
    };
    assert!(!needed_after(0, PULSE));
    assert!(needed_after(1, acquire("ann")));
    assert!(needed_after(2, release("lock", 1)));
    assert!(needed_after(60_001, PULSE));
    assert!(!needed_after(60_002, PULSE));
}

#[test]
fn a_snapshot_does_not_depend_on_which_slots_a_node_uses() {
    let batches: Vec<Vec<Command>> = (0..200)
        .map(|number: u64| {
            let who = format!("h{number}@r{}", number % 7);
            let token = number.saturating_sub(number % 5).max(1);
            vec![wait(&who, 30_000), release(&format!("r{}", token % 7), token)]
        })
        .collect();
    let mut straight = LeaseState::new(settings());
    let mut restarted = straight.clone();
    for (at, batch) in (0..).step_by(300).map(LeaseTime).zip(&batches) {
        straight.apply(at, batch);
        restarted.apply(at, batch);
        if at.0 % 2_100 == 0 {
            restarted = LeaseState::restore(&restarted.snapshot()).expect("a snapshot");
        }
        assert_eq!(straight.snapshot(), restarted.snapshot(), "at {at}");
    }
    assert!(straight.claims_len() > 7, "somebody waits");
}
