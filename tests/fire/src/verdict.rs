//! What is told at the end: the counts, what was wrong, and a line of JSON for the ledger.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;
use crate::tally::Tally;

/// How many complaints are told; the rest are mostly echoes of the first.
const COMPLAINTS_TOLD: usize = 12;

/// Where a run keeps its files. Removed at the end if it is our own and nothing was wrong.
#[derive(Debug)]
pub(crate) struct Directory {
    own: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl Directory {
    pub(crate) fn new(given: Option<&Path>) -> Outcome<Self> {
        match given {
            Some(path) => {
                std::fs::create_dir_all(path)?;
                Ok(Self { own: None, path: std::fs::canonicalize(path)? })
            }
            None => {
                let own = tempfile::Builder::new().prefix("leasehold-fire-").tempdir()?;
                let path = own.path().to_owned();
                Ok(Self { own: Some(own), path })
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, or says where it is.
    pub(crate) fn close(self, all_is_well: bool) -> Outcome<()> {
        match self.own {
            Some(own) if all_is_well => own.close()?,
            Some(own) => println!("logs and histories are in {}", own.keep().display()),
            None => {}
        }
        Ok(())
    }
}

/// What happened too rarely for the run to mean something. `share` is its length in that of its profile.
pub(crate) fn too_little(tally: &Tally, least: &[(&str, u64)], share: f64) -> Vec<String> {
    let short = |&(name, least): &(&str, u64)| {
        // At least once, however short the run.
        let least = ((least as f64 * share) as u64).max(1);
        let count = tally.get(name);
        (count < least).then(|| format!("too little happened: {name} {count}, not {least}"))
    };
    least.iter().filter_map(short).collect()
}

/// Prints everything.
pub(crate) fn tell(
    name: &str,
    seed: u64,
    time: Duration,
    tally: &Tally,
    complaints: &[String],
    json: Option<&Path>,
) -> Outcome<()> {
    print!("{tally}");
    for complaint in complaints.iter().take(COMPLAINTS_TOLD) {
        println!("WRONG: {complaint}");
    }
    match complaints.len().saturating_sub(COMPLAINTS_TOLD) {
        0 => {}
        more => println!("WRONG: {more} more"),
    }
    let ok = complaints.is_empty();
    println!("{name}: {} in {} s", if ok { "all is well" } else { "FAILED" }, time.as_secs());
    let Some(path) = json else { return Ok(()) };
    let mut line: serde_json::Map<String, serde_json::Value> =
        tally.iter().map(|(name, count)| (name.replace(' ', "_"), count.into())).collect();
    line.insert("run".to_owned(), format!("fire {name}").into());
    line.insert("seed".to_owned(), seed.into());
    line.insert("seconds".to_owned(), time.as_secs().into());
    line.insert("failures".to_owned(), complaints.len().into());
    let line = serde_json::Value::from(line);
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(writeln!(file, "{line}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_too_little_happened_says_what_and_a_shorter_one_needs_less() {
        let mut tally = Tally::default();
        tally.add("kills", 60);
        let least = [("kills", 100), ("pauses", 10)];
        assert_eq!(too_little(&tally, &least, 1.0).len(), 2);
        assert_eq!(too_little(&tally, &least, 0.5).len(), 1);
        tally.add("pauses", 1);
        assert_eq!(too_little(&tally, &least, 0.01).len(), 0);
    }

    #[test]
    fn nothing_at_all_is_never_enough() {
        assert_eq!(too_little(&Tally::default(), &[("kills", 1)], 0.001).len(), 1);
    }
}
