//! Ranges of seeds, and working through them on several threads.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often it is told how far things are.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Reads `FROM..TO`.
pub(super) fn parse(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write FROM..TO, such as 0..100")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let range = number(from)?..number(to)?;
    match range.is_empty() {
        true => Err("there is no seed in it".to_owned()),
        false => Ok(range),
    }
}

/// As many threads as there are cores.
pub(super) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Does `work` for every seed, and hands each result to `take` on this thread, in no order. `take`
/// says whether to go on.
pub(super) fn each<T: Send>(
    seeds: &Range<u64>,
    threads: usize,
    work: impl Fn(u64) -> T + Sync,
    mut take: impl FnMut(u64, T) -> bool,
) {
    let (next, end) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end));
    let (results, done) = mpsc::channel();
    let mut progress = Progress::new(seeds.end - seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (results, next, end, work) = (results.clone(), &next, &end, &work);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end.load(Ordering::Relaxed)
                        || results.send((seed, work(seed))).is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(results);
        for (seed, result) in done {
            progress.one_more();
            if !take(seed, result) {
                end.store(0, Ordering::Relaxed);
            }
        }
    });
}

struct Progress {
    all: u64,
    done: u64,
    started: Instant,
    told: Instant,
}

impl Progress {
    fn new(all: u64) -> Self {
        let now = Instant::now();
        Self { all, done: 0, started: now, told: now }
    }

    fn one_more(&mut self) {
        self.done += 1;
        if self.told.elapsed() >= TELL_EVERY && self.done < self.all {
            self.told = Instant::now();
            let took = self.started.elapsed().as_secs_f64();
            let left = took / self.done as f64 * (self.all - self.done) as f64;
            let (done, all) = (self.done, self.all);
            eprintln!("{done} of {all} seeds in {took:.0} s, about {left:.0} s to go");
        }
    }
}
