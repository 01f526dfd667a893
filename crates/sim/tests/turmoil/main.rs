//! The whole path of a request once more, gRPC included, in one thread on simulated time: three nodes
//! with their services and their peer transport, the store, the client library, all as shipped, over
//! turmoil's TCP.
//!
//! `leasehold_sim::simulation` drives the same cores through far more faults, but hands them messages.
//! What only this suite has is what lies between: HTTP/2 with its windows and keepalives, connections
//! that are dialled again, Session streams, forwards, statuses read back into problems.
//!
//! Simulated are time, network, clocks, and the disks of nodes, which lose at a crash what was not
//! synced. The store's database lies in a real directory and is written by a task, so that its commits
//! take simulated time, and keeps what it committed. turmoil's TCP repeats nothing: behind a cut a
//! connection is silent for good, as if every repeat were lost too, until a keepalive or a time-out
//! gives it up. A crashed host's connections are closed, as a killed process's are.
//!
//! Every test proves that its fault happened: [`network::Wire`] counts the writes that met a cut or
//! held link, and a crash is counted when it is done.
//!
//! # One seed, one story
//!
//! Time, latencies, faults, clocks, request ids, jitter and election timeouts come from the seed. Left
//! is the order in which tokio's `select!` looks at branches that are ready together, in our code and
//! in tonic's: only a build with `RUSTFLAGS="--cfg tokio_unstable"` lets turmoil seed that, and only
//! there `same_seed` is asked, with `--ignored`, for a story that is the same line by line: for ten
//! simulated seconds, since later on something else that is not seeded (the libraries' own hash maps
//! and the system time in HTTP's `date` are left) moves a line at times. Elsewhere a seed still says
//! what breaks, but not exactly when it meets whom; bit for bit repeats `leasehold_sim::simulation`.
//!
//! `LEASEHOLD_TURMOIL_SEEDS=N` or `A..B` asks the swarm for other seeds than the few of a plain run.
//!
//! Deliberately absent: torn and damaged disks, clocks beyond the promised rate, leaps and pauses (the
//! simulated cluster's), and real processes (the black-box tests').

mod chaos;
mod forwarding;
mod hosts;
mod lab;
mod machine;
mod network;
mod panics;
mod plain;
mod runtime;
mod same_seed;
mod session;
mod store;
mod swarm;
mod waiting;

/// The seeds of this run: so many, or what `LEASEHOLD_TURMOIL_SEEDS` says, a number or a range.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("LEASEHOLD_TURMOIL_SEEDS") else { return 0..few };
    let number = |text: &str| text.parse::<u64>().expect("LEASEHOLD_TURMOIL_SEEDS: N or A..B");
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&text),
    }
}
