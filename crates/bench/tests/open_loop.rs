//! What the load generator counts and from when, on a clock that only moves when everybody waits.

use std::sync::Arc;
use std::time::Duration;

use leasehold_bench::figures::{MISSED, OK};
use leasehold_bench::load::{Client, drive};
use leasehold_bench::time::Clock;
use leasehold_bench::{Figures, Measured, Pace, Window};
use tokio::time::Instant;

/// The test runtime's clock.
#[derive(Clone)]
struct FakeClock(Instant);

impl Clock for FakeClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn until(&self, at: Duration) {
        tokio::time::sleep_until(self.0 + at).await;
    }
}

/// Takes the same time for every operation, except that one stalls.
struct Server {
    clock: FakeClock,
    figures: Arc<Figures>,
    takes: Duration,
    /// From when until when nothing is answered.
    stall: Option<(Duration, Duration)>,
}

impl Client for Server {
    async fn operate(&mut self, due: Duration) {
        if let Some((from, until)) = self.stall
            && self.clock.now() >= from
        {
            self.clock.until(until).await;
        }
        tokio::time::sleep(self.takes).await;
        self.figures.record("call", OK, due, self.clock.now() - due);
    }

    fn missed(&mut self, due: Duration, waited: Duration) {
        self.figures.record("call", MISSED, due, waited);
    }
}

const MS: Duration = Duration::from_millis(1);

/// One client for a second, the first 100 ms of it warm-up, each operation 5 ms.
async fn run(pace: Pace, stall: Option<(Duration, Duration)>, takes: Duration) -> Vec<Measured> {
    let clock = FakeClock(Instant::now());
    let window = Window { from: 100 * MS, until: 1_000 * MS };
    let figures = Arc::new(Figures::new(Some(window)));
    let server = Server { clock: clock.clone(), figures: Arc::clone(&figures), takes, stall };
    let unfinished = drive(&clock, pace, window, 10_000 * MS, [server]).await;
    assert_eq!(unfinished, 0);
    figures.read()
}

fn close(got: f64, wanted_ms: f64) -> bool {
    (got / (wanted_ms * 1e3) - 1.0).abs() < 0.002
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_counts_from_the_instant_at_which_an_operation_was_due() {
    // Due every 10 ms. Nothing is answered from 300 to 500 ms.
    let rows = run(Pace::Open(100.0), Some((300 * MS, 500 * MS)), 5 * MS).await;
    let [calls] = &rows[..] else { panic!("{rows:?}") };
    let latency = calls.latency.expect("timed");
    assert_eq!((calls.outcome, calls.count), (OK, 90), "one each 10 ms of the window");
    assert!(close(latency.max, 205.0), "due at 300, ended at 505: {latency:?}");
    assert!(close(latency.p50, 5.0), "most waited for nothing: {latency:?}");
    // 20 were due meanwhile; the backlog of 200 ms shrinks by 5 ms each 10 ms.
    assert!(latency.p90 > 100e3, "those due meanwhile waited too: {latency:?}");
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_asks_a_server_that_stalls_nothing_and_sees_one_slow_answer() {
    let rows = run(Pace::Closed, Some((300 * MS, 500 * MS)), 5 * MS).await;
    let latency = rows[0].latency.expect("timed");
    assert!(close(latency.max, 205.0) && close(latency.p99, 5.0), "{latency:?}");
    assert_eq!(rows[0].count, 140, "180 of 5 ms, less those that fit into 200 ms");
}

#[tokio::test(start_paused = true)]
async fn what_was_due_and_never_begun_is_counted_with_the_time_it_waited() {
    // Half as much again as one client can do.
    let rows = run(Pace::Open(300.0), None, 5 * MS).await;
    let (done, missed) = (&rows[0], &rows[1]);
    assert_eq!((done.outcome, missed.outcome), (OK, MISSED));
    assert_eq!((done.count, missed.count), (170, 100), "every instant of the window is there");
    let [late, waited] = [done, missed].map(|row| row.latency.expect("timed"));
    assert!(close(late.max, 336.67), "the last that was begun was due at 663.3 ms: {late:?}");
    assert!(close(waited.max, 333.33), "the first that was not, at 666.7 ms: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_never_ends_is_unfinished() {
    let clock = FakeClock(Instant::now());
    let window = Window { from: Duration::ZERO, until: 100 * MS };
    let figures = Arc::new(Figures::new(Some(window)));
    let servers = [10_000 * MS, 5 * MS].map(|takes| Server {
        clock: clock.clone(),
        figures: Arc::clone(&figures),
        takes,
        stall: None,
    });
    assert_eq!(drive(&clock, Pace::Closed, window, 1_000 * MS, servers).await, 1);
    assert_eq!(figures.read()[0].count, 20, "the other client was not kept");
}
