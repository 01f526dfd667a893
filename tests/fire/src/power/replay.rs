//! The calls of a daemon done again until the power fails.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use leasehold_disk::fake::{FakeDisk, Unsynced};

use super::calls::{Call, What};
use crate::Outcome;

/// Where the power fails, and what becomes of what was not synced.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// So many calls were done.
    calls: usize,
    /// Whatever was answered before this, since the epoch, must be known afterwards.
    pub(super) at: Duration,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// All of it vanishes.
    Vanishes,
    /// Each write survives, vanishes or tears as the seed says.
    Drawn(u64),
    /// All of it vanishes, and what was synced too.
    VanishesThoughSynced,
}

impl Cut {
    /// For a control, at the end.
    pub(super) fn without_syncs(calls: &[Call]) -> Self {
        Self { calls: calls.len(), at: Duration::MAX, fate: Fate::VanishesThoughSynced }
    }

    /// Where it is, for whoever looks for the mistake.
    pub(super) fn told(&self, calls: &[Call]) -> String {
        let last = self.calls.checked_sub(1).map(|last| &calls[last].what);
        let last = last.map_or("nothing".to_owned(), |what| match what {
            What::Write { name, offset, bytes } => {
                format!("{} bytes written to {name} at {offset}", bytes.len())
            }
            other => format!("{other:?}"),
        });
        format!("call {} of {} ({last}), {:?}", self.calls, calls.len(), self.fate)
    }
}

/// One before each sync, when all before it is in doubt, and one behind it.
pub(super) fn cuts(calls: &[Call], seed: u64) -> Vec<Cut> {
    let begins = |call: usize| calls.get(call).map_or(Duration::MAX, |call| call.at);
    let syncs = calls.iter().enumerate().filter(|(_, call)| call.what.is_sync());
    syncs
        .flat_map(|(sync, call)| {
            let drawn = Fate::Drawn(seed.wrapping_mul(1_000_003).wrapping_add(sync as u64));
            // An answer that was there when the next call began was given for what is done by now.
            [
                Cut { calls: sync, at: call.at, fate: drawn },
                Cut { calls: sync + 1, at: begins(sync + 1), fate: Fate::Vanishes },
            ]
        })
        .collect()
}

/// What a power cut left.
pub(super) struct Replay {
    disk: FakeDisk,
}

impl Replay {
    /// Does the calls again up to the cut.
    pub(super) fn until(calls: &[Call], cut: &Cut) -> Outcome<Self> {
        let seed = if let Fate::Drawn(seed) = cut.fate { seed } else { 0 };
        let disk = FakeDisk::new(seed);
        let forgets = cut.fate == Fate::VanishesThoughSynced;
        for call in &calls[..cut.calls] {
            let file_sync = matches!(call.what, What::Sync { .. });
            if !(forgets && file_sync) {
                again(&disk, &call.what)
                    .map_err(|error| format!("{:.200}: {error}", format!("{:?}", call.what)))?;
            }
        }
        match cut.fate {
            Fate::Drawn(_) => disk.crash(),
            Fate::Vanishes => disk.crash_keeping(|_| false),
            Fate::VanishesThoughSynced => {
                disk.crash_keeping(|change| matches!(change, Unsynced::Name { .. }));
            }
        }
        Ok(Self { disk })
    }

    /// Puts it where the daemon looks for its data.
    pub(super) fn write_to(&self, directory: &Path) -> Outcome<()> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(directory)?,
        }
        for name in self.disk.names() {
            let bytes = self.disk.contents(&name).unwrap_or_default();
            let mut new = OpenOptions::new();
            let mut file =
                new.write(true).create_new(true).mode(0o600).open(directory.join(name))?;
            file.write_all(&bytes)?;
        }
        Ok(())
    }
}

fn again(disk: &FakeDisk, what: &What) -> io::Result<()> {
    let mount = disk.mount();
    match what {
        What::Open { name, truncates } => {
            let is_there = disk.names().contains(name);
            match *truncates || !is_there {
                true => mount.create(name, 0).map(drop),
                false => Ok(()),
            }
        }
        What::Write { name, offset, bytes } => mount.open(name)?.write_at(*offset, bytes),
        What::SetLength { name, length } => mount.open(name)?.set_len(*length),
        What::Sync { name } => mount.open(name)?.sync(),
        What::SyncDirectory => mount.sync_directory(),
        What::Rename { from, to } => mount.rename(from, to),
        What::Remove { name } => mount.remove(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(whats: Vec<What>) -> Vec<Call> {
        let at = |n| Duration::from_secs(n);
        (1..).zip(whats).map(|(n, what)| Call { at: at(n), what }).collect()
    }

    fn written_and_synced() -> Vec<Call> {
        let name = || "log".to_owned();
        calls(vec![
            What::Open { name: name(), truncates: true },
            What::Write { name: name(), offset: 0, bytes: b"first".to_vec() },
            What::Sync { name: name() },
            What::SyncDirectory,
            What::Write { name: name(), offset: 5, bytes: b" second".to_vec() },
            What::Sync { name: name() },
        ])
    }

    #[test]
    fn behind_a_sync_everything_is_there_though_the_rest_vanishes() {
        let calls = written_and_synced();
        let cuts = cuts(&calls, 1);
        assert_eq!(cuts.len(), 6, "two for each sync");
        let last = Replay::until(&calls, &cuts[5]).unwrap();
        assert_eq!(last.disk.contents("log").as_deref(), Some(&b"first second"[..]));
        let named = Replay::until(&calls, &cuts[3]).unwrap();
        assert_eq!(named.disk.contents("log").as_deref(), Some(&b"first"[..]));
    }

    #[test]
    fn a_name_that_was_not_synced_is_gone_with_its_file() {
        let calls = written_and_synced();
        let unnamed = Replay::until(&calls, &cuts(&calls, 1)[1]).unwrap();
        assert_eq!(unnamed.disk.names(), Vec::<String>::new());
    }

    #[test]
    fn what_was_answered_before_the_next_call_must_be_known() {
        let calls = written_and_synced();
        let at: Vec<_> = cuts(&calls, 1).iter().map(|cut| cut.at).collect();
        assert_eq!(at[..2], [Duration::from_secs(3), Duration::from_secs(4)]);
        assert_eq!(at[5], Duration::MAX);
    }

    #[test]
    fn the_control_has_names_without_contents() {
        let calls = written_and_synced();
        let control = Replay::until(&calls, &Cut::without_syncs(&calls)).unwrap();
        assert_eq!(control.disk.contents("log").as_deref(), Some(&b""[..]));
    }
}
