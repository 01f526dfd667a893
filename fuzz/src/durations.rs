//! Time and tokens: durations of the wire, ttl and wait, clocks, and what an answer proves. A holder never
//! believes longer than a tenth of a percent less than it was told, by exact arithmetic.

use std::time::Duration;

use arbitrary::Arbitrary;
use leasehold_api::{duration_from_ms, duration_from_std, std_from_duration};
use leasehold_client::timeouts::Timeouts;
use leasehold_client::{LeaseState, Validity, proven_until};
use leasehold_clock::Reading;
use leasehold_fence::{Admitted, Floor, Mark};
use leasehold_types::{FencingToken, LeaseTime, LeaseTtl, WaitLimit};

use crate::input::value;

const GRAIN_NS: u128 = 2_000_000;
const DAY_MS: u128 = 86_400_000;

#[derive(Arbitrary, Debug)]
struct Numbers {
    seconds: i64,
    nanos: i32,
    ms: u64,
    other_ms: u64,
    start: [u32; 3],
    proofs: Vec<Proof>,
    round_trips: Vec<Option<Duration>>,
    fence: Vec<(u64, u64)>,
}

/// An answer that came some time after its question was sent, while this machine may have slept.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Proof {
    valid_for_ms: u64,
    ttl_ms: u32,
    after_ms: u16,
    slewed_us: i16,
    slept_ms: u16,
}

/// Whatever the numbers.
pub fn check(bytes: &[u8]) {
    let Some(numbers) = value::<Numbers>(bytes) else { return };
    wire(numbers.seconds, numbers.nanos);
    bounds(numbers.ms);
    lease_time(numbers.ms, numbers.other_ms);
    proofs(&numbers);
    timeouts(&numbers.round_trips);
    fence(&numbers.fence);
}

fn wire(seconds: i64, nanos: i32) {
    let raw = prost_types::Duration { seconds, nanos };
    let good = seconds >= 0 && (0..1_000_000_000).contains(&nanos);
    match std_from_duration("field", &raw) {
        Ok(duration) => assert!(good && duration_from_std(duration) == raw),
        Err(bad) => assert!(!good && bad.field == "field"),
    }
}

fn bounds(ms: u64) {
    let wire = duration_from_ms(ms);
    let duration = std_from_duration("field", &wire).expect("milliseconds are a duration");
    assert_eq!(duration.as_millis(), u128::from(ms));
    let is_ttl = (1..=DAY_MS).contains(&u128::from(ms));
    assert_eq!(LeaseTtl::from_ms(ms).map(LeaseTtl::as_ms).ok(), is_ttl.then_some(ms));
    assert_eq!(LeaseTtl::from_duration(duration), LeaseTtl::from_ms(ms));
    let is_wait = u128::from(ms) <= DAY_MS;
    assert_eq!(WaitLimit::from_ms(ms).map(WaitLimit::as_ms).ok(), is_wait.then_some(ms));
    if let Some(part) = duration.checked_sub(Duration::from_nanos(1)) {
        assert_eq!(WaitLimit::from_duration(part), WaitLimit::from_ms(ms), "a wait is rounded up");
        assert_eq!(LeaseTtl::from_duration(part), LeaseTtl::from_ms(ms - 1), "a ttl is cut");
    }
}

fn lease_time(a: u64, b: u64) {
    let (a, b) = (LeaseTime(a), LeaseTime(b));
    assert_eq!(a.since_ms(b), if a > b { a.0 - b.0 } else { 0 });
    assert!(a.plus_ms(b.0) >= a);
    assert_eq!(
        a.0.checked_add(b.0).map(|_| a.plus_ms(b.0).since_ms(a)),
        a.0.checked_add(b.0).map(|_| b.0)
    );
}

fn proofs(numbers: &Numbers) {
    let [monotonic, raw, asleep] = numbers.start.map(|ms| Duration::from_millis(ms.into()));
    let mut now = Reading { monotonic, raw, boot: monotonic + asleep };
    let mut known: Option<Validity> = None;
    for proof in numbers.proofs.iter().take(32) {
        let sent = now;
        now = later(sent, proof);
        assert!(now.leader_elapsed_since(&sent) <= now.holder_elapsed_since(&sent));
        assert!(now.holder_elapsed_since(&sent) >= now.boot - sent.boot, "suspended time counts");
        let ttl = LeaseTtl::from_ms(u64::from(proof.ttl_ms) % 86_400_000 + 1).expect("a ttl");
        let valid_for = Duration::from_millis(proof.valid_for_ms);
        bound(sent, now, valid_for);
        let fresh = Validity::proven(sent, valid_for, ttl.as_duration());
        let before = known.map_or(Duration::ZERO, |known| known.bound().remaining(&now));
        match &mut known {
            Some(known) => _ = known.improve(fresh, &now),
            none => *none = Some(fresh),
        }
        let known = known.expect("set above");
        let best = before.max(fresh.bound().remaining(&now));
        assert_eq!(known.bound().remaining(&now), best, "the latest proven bound counts");
        assert!(known.renew_at().remaining(&now) <= best, "renewed before it is lost");
        told(known, now);
    }
}

fn later(sent: Reading, proof: &Proof) -> Reading {
    let awake = Duration::from_millis(proof.after_ms.into());
    let slewed = Duration::from_micros(proof.slewed_us.unsigned_abs().into());
    let raw = match proof.slewed_us < 0 {
        true => awake.saturating_sub(slewed),
        false => awake + slewed,
    };
    Reading {
        monotonic: sent.monotonic + awake,
        raw: sent.raw + raw,
        boot: sent.boot + awake + Duration::from_millis(proof.slept_ms.into()),
    }
}

/// `valid_for * 999 / 1001 - 2 ms`, rounded down, and nothing more.
fn bound(sent: Reading, now: Reading, valid_for: Duration) {
    let bound = proven_until(sent, valid_for);
    let trusted = bound.remaining(&sent).as_nanos();
    let exact = (valid_for.as_nanos() * 999 / 1001).min(u64::MAX.into());
    assert_eq!(trusted, exact.saturating_sub(GRAIN_NS));
    let elapsed = now.holder_elapsed_since(&sent);
    assert!(bound.remaining(&now) <= valid_for.saturating_sub(elapsed), "never longer than told");
    assert_eq!(bound.has_come(&now), bound.remaining(&now).is_zero());
}

fn told(known: Validity, now: Reading) {
    match known.state(&now) {
        LeaseState::Held { remaining } => {
            assert!(!known.is_doubted() && remaining == known.bound().remaining(&now));
            let mut doubted = known;
            doubted.doubt();
            assert!(matches!(doubted.state(&now), LeaseState::Uncertain { .. }));
        }
        LeaseState::Uncertain { remaining } => assert!(!remaining.is_zero()),
        LeaseState::Lost { .. } => assert!(known.bound().has_come(&now)),
    }
}

fn timeouts(round_trips: &[Option<Duration>]) {
    let mut timeouts = Timeouts::default();
    for measured in round_trips.iter().take(64) {
        let before = timeouts.current();
        match measured {
            Some(round_trip) => timeouts.answered(*round_trip),
            None => {
                timeouts.timed_out();
                assert!(timeouts.current() >= before, "no sooner after a timeout");
            }
        }
        let bounds = Timeouts::FLOOR..=Duration::from_secs(5);
        assert!(bounds.contains(&timeouts.current()));
    }
}

/// The rule, on pairs of numbers.
fn fence(writes: &[(u64, u64)]) {
    let mut mark = Mark::NONE;
    for (token, sequence) in writes.iter().take(64) {
        let Some(presented) = FencingToken::new(*token) else {
            assert_eq!(Mark::from_parts(0, *sequence).is_some(), *sequence == 0);
            continue;
        };
        let (before, floor) = (mark.to_parts(), Floor::new(*sequence));
        assert_eq!(floor.admit(presented).is_ok(), token >= sequence);
        match mark.admit(presented, *sequence) {
            Ok(Admitted::Accept(after)) => {
                let kept = *sequence == 0 && *token == before.0;
                assert!(kept || (*token, *sequence) > before);
                assert_eq!(after.to_parts(), if kept { before } else { (*token, *sequence) });
                assert!(after >= mark, "F1");
                mark = after;
            }
            Ok(Admitted::Repeat) => assert_eq!((*token, *sequence), before),
            Err(_) => assert!((*token, *sequence) < before),
        }
        assert_eq!(mark.raise(presented).is_ok(), *token >= mark.to_parts().0);
        assert_eq!(Mark::from_parts(mark.to_parts().0, mark.to_parts().1), Some(mark));
    }
}
