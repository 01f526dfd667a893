//! A date for each host, which can be set while its processes run.
//!
//! By a small library in C that is put before the C library's calls (`date.c`), and a file for each host
//! that says by how many seconds its date is wrong. Other clocks pass through it as they are. The programs
//! are the same as ever; that they saw the date is told by the times in their logs, which are the only
//! place where it may show.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::network::Host;
use crate::Outcome;

const SOURCE: &str = include_str!("date.c");

/// The library, and what it reads. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Dates {
    directory: PathBuf,
}

impl Dates {
    /// Builds the library; every host's date is right.
    pub(crate) fn prepare(directory: &Path, hosts: &[Host]) -> Outcome<Self> {
        let dates = Self { directory: directory.to_owned() };
        for host in hosts {
            std::fs::write(dates.file(host), 0_i64.to_ne_bytes())?;
        }
        let source = directory.join("date.c");
        std::fs::write(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(dates.library()).arg(&source);
        let output = compiler.output()?;
        match output.status.success() {
            true => Ok(dates),
            false => Err(format!("cc: {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }

    /// From now on the date of a host is wrong by so many seconds.
    pub(crate) fn set(&self, host: &Host, seconds: i64) -> Outcome<()> {
        // In place: the processes have it mapped.
        let file = std::fs::OpenOptions::new().write(true).open(self.file(host))?;
        Ok(file.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }

    /// Has a command see the date of a host.
    pub(crate) fn tell(&self, host: &Host, command: &mut Command) {
        command.env("LD_PRELOAD", self.library()).env("LEASEHOLD_FIRE_DATE", self.file(host));
    }

    fn library(&self) -> PathBuf {
        self.directory.join("date.so")
    }

    fn file(&self, host: &Host) -> PathBuf {
        self.directory.join(format!("{}.date", host.name))
    }
}

/// The years in the times that log lines begin with.
pub(crate) fn years(log: &str) -> BTreeSet<u16> {
    let year = |line: &str| line.split_once('-').and_then(|(year, _)| year.parse().ok());
    log.lines().filter_map(year).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year_seen(dates: &Dates, host: &Host) -> u16 {
        let mut command = Command::new("date");
        dates.tell(host, command.arg("+%Y-"));
        let output = command.output().expect("every machine has `date`");
        let text = String::from_utf8(output.stdout).expect("digits");
        years(&text).pop_first().expect("a year")
    }

    #[test]
    fn a_host_sees_the_date_it_was_given_and_others_do_not() {
        let directory = tempfile::tempdir().expect("room");
        let host = |octet| Host { name: format!("host-{octet}"), octet };
        let (one, other) = (host(1), host(2));
        let dates = Dates::prepare(directory.path(), &[one.clone(), other.clone()]).expect("cc");
        let right = year_seen(&dates, &one);
        dates.set(&one, 20 * 366 * 86_400).expect("it is there");
        assert!((right + 20..=right + 21).contains(&year_seen(&dates, &one)));
        assert!((right..=right + 1).contains(&year_seen(&dates, &other)));
    }

    #[test]
    fn years_are_those_of_log_lines_and_of_nothing_else() {
        let log =
            "2031-02-03T04:05:06Z  INFO leads\n  1999 things\n\n1987-01-01T00:00:00Z WARN slow";
        assert_eq!(years(log), BTreeSet::from([1987, 2031]));
    }
}
