//! Where strace says that it answered a sync with EIO.

use std::path::Path;
use std::time::Duration;

use crate::Outcome;

/// When errors were put in, since the epoch.
pub(super) fn errors(log: &Path) -> Outcome<Vec<Duration>> {
    let text = std::fs::read_to_string(log)?;
    text.lines().filter(|line| line.contains("(INJECTED)")).map(time).collect()
}

/// A line begins with the thread and the time.
fn time(line: &str) -> Outcome<Duration> {
    let time = line.split_whitespace().nth(1).ok_or_else(|| format!("no time in {line:?}"))?;
    Ok(Duration::try_from_secs_f64(time.parse()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_injected_errors_are_read_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let text = "71 1764334343.250000 fdatasync(9) = 0\n\
                    72 1764334344.500000 fsync(11) = -1 EIO (Input/output error) (INJECTED)\n";
        std::fs::write(&log, text).unwrap();
        assert_eq!(errors(&log).unwrap(), [Duration::from_millis(1_764_334_344_500)]);
    }
}
