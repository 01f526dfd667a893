//! The clients of a run, started again under a new name whenever they were killed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cluster::{CLIENT_PORT, STORE_PORT, Size};
use super::daemon::Daemon;
use super::network::{Host, Network};
use crate::Outcome;
use crate::profile::Workload;

/// One client's place: a host, and whoever works there.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) host: Host,
    pub(crate) daemon: Daemon,
    role: &'static str,
    /// How many have worked here.
    lives: u32,
    /// When to wake it, if it stopped itself between check and write.
    pub(crate) wake_at: Option<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) seats: Vec<Seat>,
    journals: Vec<PathBuf>,
    directory: PathBuf,
    endpoints: String,
    stores: String,
    pub(crate) workload: Workload,
    seed: u64,
}

impl Crew {
    /// Nobody works yet. The last seat is a watcher's, the two before it are probers'.
    pub(crate) fn new(
        size: Size,
        network: &Network,
        directory: &Path,
        workload: Workload,
        seed: u64,
    ) -> Self {
        let hosts = network.hosts();
        let named = |kind: &str, port: u16| {
            let of_kind = hosts.iter().filter(|host| host.name.starts_with(kind));
            of_kind.map(|host| format!("{}:{port}", host.name)).collect::<Vec<_>>().join(",")
        };
        let first = usize::from(size.nodes) + usize::from(size.stores);
        let clients = &hosts[first..];
        let seat = |(at, host): (usize, &Host)| Seat {
            host: host.clone(),
            daemon: Daemon::new(&host.name, directory),
            role: match clients.len() - at {
                1 => "watcher",
                2 | 3 => "prober",
                _ => "worker",
            },
            lives: 0,
            wake_at: None,
        };
        Self {
            seats: clients.iter().enumerate().map(seat).collect(),
            journals: Vec::new(),
            directory: directory.to_owned(),
            endpoints: named("node", CLIENT_PORT),
            stores: named("store", STORE_PORT),
            workload,
            seed,
        }
    }

    /// Puts a new client on a seat.
    pub(crate) fn start(&mut self, at: usize, network: &Network) -> Outcome<()> {
        let role = self.seats[at].role;
        self.start_as(at, role, network)
    }

    /// The same, in another role.
    pub(crate) fn start_as(&mut self, at: usize, role: &str, network: &Network) -> Outcome<()> {
        let seat = &mut self.seats[at];
        seat.lives += 1;
        seat.wake_at = None;
        let name = format!("c{}x{}", at + 1, seat.lives);
        let journal = self.directory.join(format!("{name}.journal"));
        // It may be killed before it comes to write anything.
        std::fs::write(&journal, "")?;
        self.journals.push(journal.clone());
        let Workload { counters, lanes, ttl, stops_one_in, increments_per_lease, increments_only } =
            self.workload;
        let mut command = network.command(&seat.host, &std::env::current_exe()?);
        command.args(["client", "--role", role, "--name", &name]).arg("--journal").arg(journal);
        let seed = self.seed ^ (u64::from(seat.lives) << 32) ^ (at as u64);
        command.args(["--seed", &seed.to_string(), "--ttl-ms", &ttl.as_millis().to_string()]);
        command.args(["--endpoints", &self.endpoints, "--stores", &self.stores]);
        command.args(["--counters", &counters.to_string(), "--lanes", &lanes.to_string()]);
        command.args(["--stops-one-in", &stops_one_in.to_string()]);
        command.args(["--increments-per-lease", &increments_per_lease.to_string()]);
        if increments_only {
            command.arg("--increments-only");
        }
        seat.daemon.start(command)
    }

    /// Wakes those who stopped themselves, when it is too late for them. Gives how many were found so.
    pub(crate) fn wake(&mut self, random: &mut fastrand::Rng) -> u64 {
        let mut found = 0;
        for seat in self.seats.iter_mut().filter(|seat| !seat.daemon.is_stopped()) {
            match seat.wake_at {
                Some(at) if at <= Instant::now() => {
                    seat.daemon.go_on();
                    seat.wake_at = None;
                }
                None if seat.daemon.lies_stopped() => {
                    let late = 1.1 + random.f64();
                    seat.wake_at = Some(Instant::now() + self.workload.ttl.mul_f64(late));
                    found += 1;
                }
                Some(_) | None => {}
            }
        }
        found
    }

    /// Every journal that was begun.
    pub(crate) fn journals(&self) -> &[PathBuf] {
        &self.journals
    }

    /// Tells everybody to end, and waits for it; those who do not within `patience` are killed,
    /// and named.
    pub(crate) async fn end(&mut self, patience: Duration) -> Outcome<Vec<String>> {
        for seat in &mut self.seats {
            seat.daemon.go_on();
            seat.daemon.signal(rustix::process::Signal::TERM);
        }
        let deadline = Instant::now() + patience;
        loop {
            let mut still = Vec::new();
            for seat in &mut self.seats {
                // One that stops itself on its last increment is woken like any other.
                if seat.daemon.lies_stopped() {
                    seat.daemon.go_on();
                }
                match seat.daemon.ended_by_itself()? {
                    Some(status) if !status.success() => {
                        let words = seat.daemon.last_words();
                        return Err(format!("{}: {status}\n{words}", seat.host.name).into());
                    }
                    Some(_) => {}
                    None if seat.daemon.is_up() => still.push(seat.host.name.clone()),
                    None => {}
                }
            }
            if still.is_empty() {
                return Ok(still);
            }
            if Instant::now() > deadline {
                for seat in &mut self.seats {
                    seat.daemon.kill()?;
                }
                return Ok(still);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
