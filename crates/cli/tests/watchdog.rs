//! The watchdog of `leasehold lock`, with real processes and no cluster: this test is the supervisor.
//!
//! A supervisor that is killed closes its socket, one that is stopped says nothing more: both look
//! the same from the watchdog's side as they do here.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use leasehold_clock::{Clock, MachineClock, Reading};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Bounds a failure; measures nothing.
const PATIENCE: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_secs(2);

/// A shell with a child in its group that says both process ids and waits for ever.
const FAMILY: &str = "sleep 1000 & echo $$ $!; wait";
/// The same, deaf to TERM.
const STUBBORN_FAMILY: &str = "trap '' TERM; sleep 1000 & echo $$ $!; while :; do wait; done";

/// A watchdog, and the supervisor's end of the socket.
struct Watchdog {
    process: Child,
    socket: UnixStream,
    said: BufReader<UnixStream>,
    printed: BufReader<std::process::ChildStdout>,
    granted: Reading,
}

impl Watchdog {
    /// A watchdog whose command exists and has not started.
    fn arm(script: &str, stdin: impl AsFd) -> Self {
        Self::arm_command(&["sh", "-c", script], stdin)
    }

    fn arm_command(command: &[&str], stdin: impl AsFd) -> Self {
        let (socket, theirs) = UnixStream::pair().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_leasehold"))
            .args(["watchdog", "--ttl-ms", &TTL.as_millis().to_string(), "--"])
            .args(command)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        send_descriptor(&socket, stdin);
        let said = BufReader::new(socket.try_clone().unwrap());
        let printed = BufReader::new(process.stdout.take().unwrap());
        let granted = MachineClock.read();
        let mut watchdog = Self { process, socket, said, printed, granted };
        watchdog.tell_bound(&granted);
        assert!(watchdog.hear()["ready"]["group"].as_i64().is_some_and(|group| group > 1));
        watchdog
    }

    fn start(script: &str) -> Self {
        let mut watchdog = Self::arm(script, File::open("/dev/null").unwrap());
        watchdog.tell(&json!("go"));
        watchdog
    }

    /// A started family's shell and its child.
    fn start_family(script: &str) -> (Self, [u32; 2]) {
        let mut watchdog = Self::start(script);
        let line = watchdog.read_line();
        let ids: Vec<u32> = line.split_whitespace().map(|id| id.parse().unwrap()).collect();
        let family = ids.try_into().unwrap();
        assert!(all_run(&family));
        (watchdog, family)
    }

    fn tell(&mut self, message: &Value) {
        self.socket.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    /// A ttl, counted from that reading.
    fn tell_bound(&mut self, from: &Reading) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
        self.tell(&json!({"bound": {
            "monotonic": nanos(from.monotonic), "raw": nanos(from.raw), "boot": nanos(from.boot),
            "after": nanos(TTL),
        }}));
    }

    /// What the watchdog says next; null when it has closed its end.
    fn hear(&mut self) -> Value {
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        if line.is_empty() { Value::Null } else { serde_json::from_str(&line).unwrap() }
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.printed.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn left_of_the_first_bound(&self) -> Duration {
        TTL.saturating_sub(MachineClock.read().holder_elapsed_since(&self.granted))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send_descriptor(socket: &UnixStream, descriptor: impl AsFd) {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(socket, &[IoSlice::new(b"\n")], &mut ancillary, SendFlags::empty()).unwrap();
}

/// Whether a process with this id runs (a zombie does not).
fn runs(pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !matches!(text.rsplit(')').next().and_then(|t| t.split_whitespace().next()), Some("Z" | "X"))
}

fn all_run(family: &[u32; 2]) -> bool {
    family.iter().all(|pid| runs(*pid))
}

fn none_runs(family: &[u32; 2]) -> bool {
    !family.iter().any(|pid| runs(*pid))
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_status_of_the_command_passes_through() {
    let mut watchdog = Watchdog::start("exit 42");
    let finished = json!({"finished": {"status": {"exited": 42}, "stopped": null}});
    assert_eq!(watchdog.hear(), finished);
    assert_eq!(watchdog.hear(), Value::Null);
    assert!(watchdog.process.wait().unwrap().success());
}

#[test]
fn a_command_that_cannot_be_run_has_the_status_a_shell_gives_it() {
    let nothing = File::open("/dev/null").unwrap();
    let mut watchdog = Watchdog::arm_command(&["/no/such/program"], nothing);
    watchdog.tell(&json!("go"));
    assert_eq!(watchdog.hear()["finished"]["status"], json!({"exited": 127}));
}

#[test]
fn the_command_reads_what_the_supervisor_was_given_to_read() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"from the supervisor\n").unwrap();
    drop(writer);
    let mut watchdog = Watchdog::arm("cat", reader);
    watchdog.tell(&json!("go"));
    assert_eq!(watchdog.read_line(), "from the supervisor");
}

#[test]
fn nothing_runs_before_the_supervisor_says_go() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("ran");
    let script = format!("echo > {}", witness.display());
    let mut watchdog = Watchdog::arm(&script, File::open("/dev/null").unwrap());
    watchdog.socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(watchdog.hear()["finished"]["stopped"], "supervisor_gone");
    assert!(watchdog.process.wait().unwrap().success());
    assert!(!witness.exists());
}

#[test]
fn a_go_that_comes_after_the_bound_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("ran");
    let script = format!("echo > {}", witness.display());
    let mut watchdog = Watchdog::arm(&script, File::open("/dev/null").unwrap());
    watchdog.signal(Signal::STOP);
    watchdog.tell(&json!("go"));
    wait_for("the bound to pass", || watchdog.left_of_the_first_bound().is_zero());
    watchdog.signal(Signal::CONT);
    assert_eq!(watchdog.hear()["finished"]["stopped"], "bound_near");
    assert!(!witness.exists());
}

#[test]
fn when_the_supervisor_is_killed_the_whole_group_dies() {
    for script in [FAMILY, STUBBORN_FAMILY] {
        let (mut watchdog, family) = Watchdog::start_family(script);
        watchdog.socket.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(watchdog.hear()["finished"]["stopped"], "supervisor_gone");
        assert!(none_runs(&family), "{script}");
        assert!(!watchdog.left_of_the_first_bound().is_zero(), "long before the bound: {script}");
    }
}

#[test]
fn when_the_supervisor_is_stopped_the_whole_group_is_dead_before_the_bound() {
    for script in [FAMILY, STUBBORN_FAMILY] {
        let (mut watchdog, family) = Watchdog::start_family(script);
        assert_eq!(watchdog.hear()["finished"]["stopped"], "bound_near");
        assert!(!watchdog.left_of_the_first_bound().is_zero(), "too late: {script}");
        assert!(none_runs(&family), "{script}");
    }
}

#[test]
fn a_bound_that_was_told_late_does_not_count_from_when_it_was_told() {
    let (mut watchdog, family) = Watchdog::start_family(FAMILY);
    let first = watchdog.granted;
    while all_run(&family) {
        // For ever the same old news.
        watchdog.tell_bound(&first);
        assert!(!watchdog.left_of_the_first_bound().is_zero(), "it outlived its bound");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn while_bounds_are_told_the_command_runs_on() {
    let (mut watchdog, family) = Watchdog::start_family(FAMILY);
    while !watchdog.left_of_the_first_bound().is_zero() {
        watchdog.tell_bound(&MachineClock.read());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(all_run(&family));
    watchdog.tell(&json!({"signal": 15}));
    let finished = json!({"finished": {"status": {"signalled": 15}, "stopped": null}});
    assert_eq!(watchdog.hear(), finished, "a signal that is passed on is no loss of the lease");
    assert!(none_runs(&family));
}

#[test]
fn what_a_command_leaves_behind_dies_with_it() {
    for script in
        ["sleep 1000 & echo $$ $!; exit 3", "trap '' TERM; sleep 1000 & echo $$ $!; exit 3"]
    {
        let mut watchdog = Watchdog::start(script);
        let line = watchdog.read_line();
        let ids: Vec<u32> = line.split_whitespace().map(|id| id.parse().unwrap()).collect();
        let finished = json!({"finished": {"status": {"exited": 3}, "stopped": null}});
        assert_eq!(watchdog.hear(), finished);
        assert!(ids.iter().all(|pid| !runs(*pid)), "{script}");
    }
}

#[test]
fn a_lost_lease_stops_the_group_at_once_and_has_the_last_word_on_why() {
    let (mut watchdog, family) = Watchdog::start_family(FAMILY);
    watchdog.tell(&json!("stop"));
    assert_eq!(watchdog.hear()["finished"]["stopped"], "lease_lost");
    assert!(none_runs(&family));
}

#[test]
fn a_group_that_is_suspended_dies_as_well() {
    let (mut watchdog, family) = Watchdog::start_family(FAMILY);
    watchdog.tell(&json!({"signal": 19}));
    watchdog.tell(&json!("stop"));
    assert_eq!(watchdog.hear()["finished"]["stopped"], "lease_lost");
    assert!(none_runs(&family));
}

#[test]
fn signals_that_are_meant_for_everybody_do_not_end_the_watchdog() {
    let (mut watchdog, family) = Watchdog::start_family(FAMILY);
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1] {
        watchdog.signal(signal);
    }
    watchdog.tell(&json!("stop"));
    assert_eq!(watchdog.hear()["finished"]["stopped"], "lease_lost");
    assert!(none_runs(&family));
}

#[test]
fn when_the_watchdog_is_killed_the_command_is() {
    let (watchdog, [shell, child]) = Watchdog::start_family(FAMILY);
    watchdog.signal(Signal::KILL);
    wait_for("the kernel to kill the command", || !runs(shell));
    // What the command started is the supervisor's to kill, and that is this test.
    let child = Pid::from_raw(i32::try_from(child).unwrap()).unwrap();
    kill_process(child, Signal::KILL).unwrap();
}
