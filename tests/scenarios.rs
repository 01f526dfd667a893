//! `docs/faults.md` promises a test for every scenario: each one named there exists, no scenario is
//! missing, and one without a test says why. What needs root or much time is a command, named as it is
//! typed: its program has that verb.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use leasehold_plants::tests_in;

const SCENARIOS: u32 = 51;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A row of the tables: the number of the scenario, and what shows that it cannot happen here.
fn row(line: &str) -> Option<(u32, String)> {
    let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let number = cells[0].parse().ok()?;
    assert_eq!(cells.len(), 4, "four columns: {line}");
    assert!(cells.iter().all(|cell| !cell.is_empty()), "an empty cell: {line}");
    Some((number, cells[3].to_owned()))
}

fn rows() -> Vec<(u32, String)> {
    let text = fs::read_to_string(root().join("docs/faults.md")).expect("the document is there");
    text.lines().filter(|line| line.starts_with('|')).filter_map(row).collect()
}

/// What stands between backquotes.
fn named_tests(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Every test below a directory as `file::name`; a `mod.rs` goes by the name of its directory.
fn collect(directory: &Path, found: &mut BTreeMap<String, u32>) {
    for entry in fs::read_dir(directory).expect("it is a directory of this repository") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let named = if path.ends_with("mod.rs") { directory } else { &path };
            let file = named.file_stem().expect("it has a name").to_string_lossy();
            for name in tests_in(&fs::read_to_string(&path).expect("a source file")) {
                *found.entry(format!("{file}::{name}")).or_default() += 1;
            }
        }
    }
}

/// Every test of the workspace as `crate::file::name`, and how many bear that name.
fn all_tests() -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    let crates = fs::read_dir(root().join("crates")).expect("it is there");
    let crates = crates.map(|entry| entry.expect("it can be read").path());
    for directory in crates.chain([root().join("tests")]) {
        let mut found = BTreeMap::new();
        collect(&directory, &mut found);
        let area = directory.file_name().expect("it has a name").to_string_lossy();
        all.extend(found.into_iter().map(|(test, count)| (format!("{area}::{test}"), count)));
    }
    all
}

/// Where the verbs of a program are.
fn verbs_of(program: &str) -> String {
    let source = match program {
        "leasehold-fire" => "tests/fire/src/main.rs",
        "leasehold-sim" => "crates/sim/src/main.rs",
        "leasehold-model" => "crates/model/src/main.rs",
        other => panic!("there is no program {other}"),
    };
    fs::read_to_string(root().join(source)).expect("the program has a main file")
}

/// Whether a program takes that verb: in its list of verbs it is a variant, in camel case.
fn is_command(named: &str) -> bool {
    let Some((program, verb)) = named.split_once(' ') else { return false };
    let verb = verb.split(' ').next().expect("a word").to_owned();
    let variant = format!("{}{}", verb[..1].to_uppercase(), &verb[1..]);
    verbs_of(program).lines().any(|line| line.trim().starts_with(&format!("{variant}(")))
}

#[test]
fn every_scenario_has_one_row() {
    let numbers: Vec<_> = rows().into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (1..=SCENARIOS).collect::<Vec<_>>());
}

#[test]
fn every_test_named_in_a_row_exists_once() {
    let tests = all_tests();
    assert!(tests.len() > 300, "this test sees the sources: {}", tests.len());
    for (number, cell) in rows() {
        for named in named_tests(&cell) {
            if named.contains(' ') {
                assert!(is_command(named), "scenario {number}: {named}");
                continue;
            }
            assert_eq!(tests.get(named), Some(&1), "scenario {number}: {named}");
        }
    }
}

#[test]
fn a_row_without_a_test_says_why() {
    for (number, cell) in rows() {
        let why = ["none: ", "not yet: "].iter().find_map(|word| cell.strip_prefix(*word));
        match why {
            Some(why) => assert!(why.len() > 20, "scenario {number}: {why}"),
            None => assert!(!named_tests(&cell).is_empty(), "scenario {number}: {cell}"),
        }
    }
}

#[test]
fn levels_stand_before_tests() {
    for (number, cell) in rows() {
        for part in cell.split("; ").filter(|part| part.contains('`')) {
            let level = part.split_once(" `").map(|(level, _)| level);
            assert!(
                matches!(level, Some("P" | "M" | "D" | "R" | "F")),
                "scenario {number}: {part}"
            );
        }
    }
}
