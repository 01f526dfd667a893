//! The arithmetic of the figures.

use std::time::Duration;

use leasehold_bench::figures::OK;
use leasehold_bench::{Error, Figures, Over, Pace, Settings, Window, Workload};

const US: Duration = Duration::from_micros(1);

fn close(got: f64, wanted: f64) -> bool {
    (got / wanted - 1.0).abs() <= 0.001
}

#[test]
fn percentiles_are_those_of_what_was_recorded_to_a_thousandth() {
    let figures = Figures::new(None);
    for number in (1..=10_000_u32).rev() {
        figures.record("call", OK, Duration::ZERO, number * US);
    }
    let rows = figures.read();
    let latency = rows[0].latency.expect("timed");
    for (got, wanted) in
        latency.all().into_iter().zip([5_000.0, 9_000.0, 9_900.0, 9_990.0, 10_000.0])
    {
        assert!(close(got, wanted), "{got} for {wanted}");
    }
    let floors = latency.over(250.0);
    assert!(close(floors.p50, 20.0) && close(floors.max, 40.0), "{floors:?}");
}

#[test]
fn what_came_of_an_operation_has_percentiles_of_its_own() {
    let figures = Figures::new(None);
    figures.record("call", OK, Duration::ZERO, 1_000 * US);
    figures.record("call", "HELD", Duration::ZERO, 10 * US);
    figures.record("call", "HELD", Duration::ZERO, 30 * US);
    figures.count("call", "UNFINISHED", 3);
    let rows = figures.read();
    let seen: Vec<_> = rows.iter().map(|row| (row.outcome, row.count)).collect();
    assert_eq!(seen, [(OK, 1), ("HELD", 2), ("UNFINISHED", 3)], "successes first");
    assert!(close(rows[0].latency.expect("timed").p50, 1_000.0), "quick refusals do not help");
    assert!(close(rows[1].latency.expect("timed").max, 30.0));
    assert_eq!((rows[2].latency, rows[2].per_second), (None, None));
}

#[test]
fn only_what_was_due_within_the_window_counts_and_its_length_makes_the_rate() {
    let window = Window { from: Duration::from_secs(2), until: Duration::from_secs(6) };
    let figures = Figures::new(Some(window));
    for (due, counts) in [(1_999, false), (2_000, true), (5_999, true), (6_000, false)] {
        let before = figures.counted();
        figures.record_many("call", OK, Duration::from_millis(due), 10 * US, 6);
        assert_eq!(figures.counted() > before, counts, "due at {due} ms");
    }
    let rows = figures.read();
    assert_eq!((rows[0].count, rows[0].per_second), (12, Some(3.0)));
}

#[test]
fn without_a_window_the_rate_is_over_the_time_from_the_first_to_the_last() {
    let figures = Figures::new(None);
    for second in [10, 11, 12] {
        figures.record("call", OK, Duration::from_secs(second), Duration::from_secs(1));
    }
    assert_eq!(figures.read()[0].per_second, Some(1.0), "three, from 10 s to 13 s");
}

#[test]
fn what_takes_longer_than_an_hour_counts_as_an_hour() {
    let figures = Figures::new(None);
    figures.record("call", OK, Duration::ZERO, Duration::from_secs(100_000));
    assert!(close(figures.read()[0].latency.expect("timed").max, 3_600e6));
}

#[test]
fn settings_that_a_workload_cannot_have_name_the_flag() {
    let settings = Settings {
        clients: 4,
        connections: 1,
        over: Over::Session,
        pace: Pace::Closed,
        duration: Duration::from_secs(1),
        warmup: Duration::ZERO,
        resources: None,
        ttl: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        value_bytes: 100,
        kills: 1,
    };
    assert!(Workload::ALL.iter().all(|workload| settings.check(*workload).is_ok()));
    let open = Settings { pace: Pace::Open(10.0), ..settings.clone() };
    let few = Settings { resources: Some(3), ..settings.clone() };
    let alone = Settings { clients: 1, ..settings };
    let table = [
        (Workload::Handover, open, "--rate"),
        (Workload::Pair, few.clone(), "--resources"),
        (Workload::Queue, few, "--clients"),
        (Workload::Handover, alone, "--clients"),
    ];
    for (workload, settings, blamed) in table {
        match settings.check(workload) {
            Err(Error::Setting { flag, why }) => {
                assert_eq!(flag, blamed);
                assert!(why.contains(workload.name()), "{why}");
            }
            other => panic!("{workload:?}: {other:?}"),
        }
    }
}
