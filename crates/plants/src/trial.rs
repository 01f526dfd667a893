//! One test, run by cargo in the copy, and what its end means.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{KilledBy, Scratch};

/// A build that takes longer is stuck.
const BUILD_MAX: Duration = Duration::from_secs(3_600);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much of what cargo said is shown where something is wrong.
const SHOWN_MAX: usize = 4_000;

/// How a run of one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The one test ran and passed.
    Passed,
    /// The one test ran and failed.
    Failed,
    /// It does not compile.
    NotBuilt(String),
    /// No test of that name ran, or more than one.
    NotRun(String),
    /// It did not end in the time allowed.
    Hung,
}

/// What the end of a planted run says about the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The test turned red: it knows this bug.
    Killed,
    /// The test stayed green.
    Survived,
    /// The plant or the name of its test is broken.
    Broken(String),
}

/// The verdict on a plant whose test ended so.
pub fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Failed => Verdict::Killed,
        Outcome::Passed => Verdict::Survived,
        Outcome::NotBuilt(why) => Verdict::Broken(format!("does not compile:\n{why}")),
        Outcome::NotRun(why) => Verdict::Broken(format!("its test did not run:\n{why}")),
        Outcome::Hung => Verdict::Broken("its test hangs instead of failing".to_owned()),
    }
}

/// What is wrong with a test that ended so without a plant, if anything.
pub fn baseline(outcome: Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Passed => Ok(()),
        Outcome::Failed => Err("fails without a plant".to_owned()),
        Outcome::NotBuilt(why) => Err(format!("does not compile without a plant:\n{why}")),
        Outcome::NotRun(why) => Err(format!("does not run:\n{why}")),
        Outcome::Hung => Err("hangs without a plant".to_owned()),
    }
}

impl Scratch {
    /// Builds the test's target and runs that test alone.
    pub fn run(&self, test: &KilledBy, test_max: Duration) -> io::Result<Outcome> {
        let (status, said) = self.cargo(test, &["--no-run"], BUILD_MAX)?;
        match status {
            None => return Ok(Outcome::Hung),
            Some(status) if !status.success() => return Ok(Outcome::NotBuilt(end_of(&said))),
            Some(_) => {}
        }
        let (status, said) = self.cargo(test, &["--", "--exact", &test.test], test_max)?;
        let Some(status) = status else { return Ok(Outcome::Hung) };
        Ok(judge(status.success(), &said))
    }

    fn cargo(
        &self,
        test: &KilledBy,
        more: &[&str],
        most: Duration,
    ) -> io::Result<(Option<ExitStatus>, String)> {
        let log = self.target().join("leasehold-plants.log");
        fs::create_dir_all(self.target())?;
        let said = File::create(&log)?;
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args(["test", "--locked", "--quiet", "--package", &test.package]);
        match test.target.as_str() {
            "lib" => command.arg("--lib"),
            target => command.args(["--test", target]),
        };
        command
            .args(more)
            .current_dir(self.tree())
            .env("CARGO_TARGET_DIR", self.target())
            .env("CARGO_TERM_COLOR", "never")
            // Only red or green is asked for, and line numbers are half of the linking.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env_remove("CARGO_MANIFEST_DIR")
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .process_group(0);
        let status = wait(command.spawn()?, most)?;
        Ok((status, read(&log)?))
    }
}

fn judge(succeeded: bool, said: &str) -> Outcome {
    match (said.contains("running 1 test\n"), succeeded) {
        (false, _) => Outcome::NotRun(end_of(said)),
        (true, true) if said.contains("1 passed") => Outcome::Passed,
        (true, true) => Outcome::NotRun(end_of(said)),
        (true, false) => Outcome::Failed,
    }
}

/// Waits, and after the time allowed ends the whole group: cargo, the test, and what that started.
fn wait(mut child: Child, most: Duration) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() > most {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                kill_process_group(group, Signal::KILL)?;
            }
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn end_of(said: &str) -> String {
    let errors = said.find("error").map_or(said, |at| &said[at..]);
    errors.chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: &str = "\nrunning 1 test\nF\nfailures:\n\ntest result: FAILED. 0 passed; 1 failed";
    const GREEN: &str = "\nrunning 1 test\n.\ntest result: ok. 1 passed; 0 failed";

    #[test]
    fn a_test_that_ran_and_failed_has_killed_the_plant() {
        assert_eq!(verdict(judge(false, RED)), Verdict::Killed);
        assert_eq!(baseline(judge(true, GREEN)), Ok(()));
    }

    #[test]
    fn a_test_that_passed_lets_the_plant_survive() {
        assert_eq!(verdict(judge(true, GREEN)), Verdict::Survived);
        assert!(baseline(judge(false, RED)).is_err());
    }

    #[test]
    fn a_name_that_no_test_bears_kills_nothing() {
        let none = "\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed";
        assert!(matches!(verdict(judge(true, none)), Verdict::Broken(_)));
        let ignored = "\nrunning 1 test\ni\ntest result: ok. 0 passed; 0 failed; 1 ignored";
        assert!(matches!(verdict(judge(true, ignored)), Verdict::Broken(_)));
        let no_target = "error: no test target named `storys`";
        assert!(matches!(verdict(judge(false, no_target)), Verdict::Broken(_)));
    }

    #[test]
    fn what_does_not_compile_or_hangs_kills_nothing() {
        assert!(matches!(verdict(Outcome::NotBuilt(String::new())), Verdict::Broken(_)));
        assert!(matches!(verdict(Outcome::Hung), Verdict::Broken(_)));
    }
}
