//! Many at once: what is due is not rationed, and nobody is woken for nothing.

mod support;

use leasehold_core::{Command, EventKind, LeaseState, Settings};
use leasehold_types::{EndReason, LeaseTime};
use support::tell::{PULSE, acquire, release, settings, token, wait};

fn roomy() -> LeaseState {
    let bounds = Settings { claims_max: 200_000, waiters_per_resource_max: 20_000, ..settings() };
    LeaseState::new(bounds)
}

/// In batches as large as a leader makes them.
fn apply_all(state: &mut LeaseState, at: u64, commands: impl Iterator<Item = Command>) {
    let commands: Vec<_> = commands.collect();
    for batch in commands.chunks(1_000) {
        state.apply(LeaseTime(at), batch);
    }
}

#[test]
fn a_hundred_thousand_leases_that_are_due_together_end_in_parts_without_a_pause() {
    // Elsewhere so many expiries were rationed, and ran minutes late (etcd#8097, etcd#9360, etcd#12105);
    // or they all ended at once, and everybody else waited for that. Here each entry ends some, and the
    // next one may come at once.
    let mut state = roomy();
    apply_all(&mut state, 0, (0..100_000).map(|n| acquire(&format!("h{n}@r{n}"))));
    assert_eq!((state.claims_len(), state.next_token()), (100_000, token(100_001)));
    let early = state.apply(LeaseTime(9_999), &[PULSE]);
    assert_eq!(early.events, []);
    let expired =
        |kind: &EventKind| matches!(kind, EventKind::Ended { why: EndReason::Expired, .. });
    let most = state.settings().ends_per_entry as usize;
    let mut left = 100_000;
    while left > 0 {
        assert_eq!(
            state.next_deadline(),
            Some(LeaseTime(10_000)),
            "the next entry may come at once"
        );
        let late = state.apply(LeaseTime(10_000), &[PULSE]);
        let ends = late.events.iter().filter(|event| expired(&event.kind)).count();
        assert_eq!(ends, most.min(left));
        left -= ends;
    }
    assert_eq!((state.claims_len(), state.next_deadline()), (0, None));
}

#[test]
fn a_release_wakes_one_of_ten_thousand_waiters() {
    let mut state = roomy();
    state.apply(LeaseTime(0), &[acquire("holder")]);
    apply_all(&mut state, 0, (0..10_000).map(|n| wait(&format!("w{n}"), 60_000)));
    for n in 0..10_000 {
        let told = state.apply(LeaseTime(1), &[release("lock", n + 1)]).events;
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(matches!(told[0].kind, EventKind::Ended { why: EndReason::Released, .. }));
        assert!(matches!(told[1].kind, EventKind::Granted { .. }), "{told:?}");
        assert_eq!(told[1].holder.as_str(), format!("w{n}"), "first come, first served");
    }
    assert_eq!(state.claims_len(), 1);
}
