//! The command as its users run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leasehold_sim::history::Recorder;
use leasehold_sim::history::record::Record;
use tempfile::TempDir;

use crate::generator::{Shape, good};
use crate::mutations;

fn check(arguments: &[&str], file: &Path) -> (Option<i32>, String) {
    let command = Path::new(env!("CARGO_BIN_EXE_leasehold-sim"));
    let output = Command::new(command).arg("check").args(arguments).arg(file).output();
    let Output { status, stdout, stderr } = output.expect("the binary was built for this test");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).expect("text"))
}

fn recorded(records: &[Record]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.jsonl");
    let recorder = Recorder::create(&path).expect("a new file");
    for record in records {
        recorder.record(record).expect("room on the disk");
    }
    (folder, path)
}

#[test]
fn a_good_history_is_counted_and_exits_with_0() {
    let (_folder, path) = recorded(&good(1, Shape::LARGE));
    let (code, text) = check(&["--search", "--at-least", "grants=5,events=20"], &path);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("no violation of 11 properties"), "{text}");
    assert!(text.contains(" grants\n"), "{text}");
    assert!(text.contains("search: "), "{text}");
}

#[test]
fn a_bad_history_is_told_with_its_lines_and_exits_with_1() {
    let mut records = good(1, Shape::LARGE);
    let mutation = &mutations::all()[0];
    assert!((mutation.apply)(&mut records, &mut fastrand::Rng::with_seed(1)));
    let (_folder, path) = recorded(&records);
    let (code, text) = check(&[], &path);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("VIOLATED S1 uniqueness, lines "), "{text}");
}

#[test]
fn a_history_in_which_too_little_happened_exits_with_1() {
    let (_folder, path) = recorded(&[]);
    let (code, text) = check(&["--at-least", "grants=1"], &path);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("TOO LITTLE grants: 0, at least 1"), "{text}");
    assert_eq!(check(&[], &path).0, Some(0));
}

#[test]
fn a_file_that_is_no_history_exits_with_2_and_names_the_line() {
    let (_folder, path) = recorded(&good(1, Shape::SMALL)[..3]);
    let mut text = std::fs::read_to_string(&path).expect("written");
    text.push_str("{\"kind\":\"acquire\"}\n");
    std::fs::write(&path, text).expect("room on the disk");
    let (code, text) = check(&[], &path);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("line 4: missing field `client`"), "{text}");
    let (code, text) = check(&[], Path::new("/nowhere/at.all"));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("cannot be opened"), "{text}");
}

#[test]
fn a_count_that_does_not_exist_exits_with_2_and_names_those_that_do() {
    let (_folder, path) = recorded(&[]);
    let (code, text) = check(&["--at-least", "grant=1"], &path);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there is no count \"grant\"; there are lines, calls"), "{text}");
}

/// The format's own document shows lines, and they are lines.
#[test]
fn the_documented_lines_are_a_history() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/history-format.md");
    let document = std::fs::read_to_string(document).expect("the format is documented");
    let lines: Vec<&str> = document.lines().filter(|line| line.starts_with("{\"kind\"")).collect();
    let history = leasehold_sim::history::History::read(lines.join("\n").as_bytes());
    let history = history.unwrap_or_else(|error| panic!("{error}"));
    let report = leasehold_sim::history::check(&history);
    assert!(report.is_clean(), "{report}");
    let kinds = ["acquire", "renew", "release", "cancel", "get", "list", "event", "watched"];
    let more = ["belief", "write", "read", "increment", "total"];
    for kind in kinds.iter().chain(&more) {
        let wanted = format!("{{\"kind\":\"{kind}\"");
        assert!(lines.iter().any(|line| line.starts_with(&wanted)), "{kind} is not shown");
    }
}
