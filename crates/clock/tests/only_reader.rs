//! This crate is the only one that reads a clock of the machine, and nobody reads the time of day.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).expect("it is a directory of this repository");
    for path in entries.map(|entry| entry.expect("it can be read").path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The sources of every crate, without its tests.
fn all_sources() -> Vec<(PathBuf, String)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for entry in fs::read_dir(&crates).expect("it is a directory of this repository") {
        sources(&entry.expect("it can be read").path().join("src"), &mut found);
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file");
        (path, text)
    };
    found.into_iter().map(read).collect()
}

fn mentions(word: &str) -> Vec<PathBuf> {
    let with = |(path, text): (PathBuf, String)| text.contains(word).then_some(path);
    all_sources().into_iter().filter_map(with).collect()
}

#[test]
fn no_crate_reads_the_time_of_day() {
    assert!(all_sources().len() > 100, "this test sees the sources");
    for word in ["SystemTime", "UNIX_EPOCH", "CLOCK_REALTIME", "ClockId::Realtime", "chrono::"] {
        assert_eq!(mentions(word), Vec::<PathBuf>::new(), "{word}");
    }
}

#[test]
fn only_this_crate_asks_the_machine_for_its_clocks() {
    let readers = mentions("clock_gettime");
    assert!(matches!(&readers[..], [one] if one.ends_with("../clock/src/lib.rs")), "{readers:?}");
}

#[test]
fn what_decides_about_leases_and_tokens_knows_no_clock_at_all() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in ["core", "fence", "types"] {
        let mut pure = Vec::new();
        sources(&crates.join(name).join("src"), &mut pure);
        assert!(!pure.is_empty(), "this test sees {name}");
        for path in pure {
            let text = fs::read_to_string(&path).expect("a source file");
            for word in ["Instant", "leasehold_clock", "std::time"] {
                assert!(!text.contains(word), "{word} in {}", path.display());
            }
        }
    }
}
