//! `tests/plants` and `docs/planted-bugs.md` promise a test for every planted bug: each bug can still be
//! planted, each test named is there, and the document says the same as the files. That the tests turn
//! red is shown by `leasehold-plants run`, which builds each bug.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use leasehold_plants::{Plant, Target, markdown_row};

/// All kinds together: plants in the source, changed protocols of the model, plants of the simulator.
const AT_LEAST: usize = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn plants() -> Vec<Plant> {
    Plant::all(&root()).unwrap_or_else(|why| panic!("{why}"))
}

fn document() -> String {
    read("docs/planted-bugs.md")
}

/// The variants of an enum, read from its source.
fn variants(source: &str, of: &str) -> BTreeSet<String> {
    let body = source.split_once(&format!("pub enum {of} {{")).expect("the enum is there").1;
    let body = body.split_once("\n}").expect("it ends").0;
    let names = body.lines().map(str::trim).filter_map(|line| line.strip_suffix(','));
    names.filter(|name| name.chars().all(char::is_alphanumeric)).map(str::to_owned).collect()
}

/// The names in the first column of the table below a heading.
fn listed(heading: &str) -> BTreeSet<String> {
    let text = document();
    let below = text.split_once(&format!("\n{heading}\n")).expect("the heading is there").1;
    let table = below.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

fn changed_protocols() -> BTreeSet<String> {
    let mut names = variants(&read("crates/model/src/mutant.rs"), "Mutant");
    assert!(names.remove("None"), "the protocol as it is");
    names
}

fn simulated() -> BTreeSet<String> {
    variants(&read("crates/sim/src/simulation/plan.rs"), "Plant")
}

#[test]
fn every_plant_can_be_planted() {
    for plant in plants() {
        let source = read(&plant.file);
        let planted = plant.planted_in(&source).unwrap_or_else(|why| panic!("{why}"));
        assert_ne!(planted, source, "{}", plant.name);
        assert_eq!(Some(plant.area()), plant.name.split('-').next(), "it begins with its crate");
        let in_production = !plant.file.components().any(|part| part.as_os_str() == "tests");
        assert!(in_production, "{}: a bug in a test shows nothing", plant.name);
    }
}

#[test]
fn every_test_that_kills_a_plant_is_there() {
    for plant in plants() {
        let target = Target::of(&root(), &plant.killed_by);
        assert!(target.has(&plant.killed_by), "{}: {:?}", plant.name, plant.killed_by);
    }
}

#[test]
fn every_plant_breaks_a_rule_that_has_a_name() {
    let numbered = |word: &str, most: u32, rule: &str| {
        rule.strip_prefix(word)
            .and_then(|n| n.parse().ok())
            .is_some_and(|n| (1..=most).contains(&n))
    };
    let known = [
        ("I", 7),
        ("F", 2),
        ("C", 1),
        ("L", 5),
        ("P", 4),
        ("S", 11),
        ("story ", 11),
        ("scenario ", 51),
    ];
    for Plant { name, rules, breaks, .. } in plants() {
        assert!(!rules.is_empty(), "{name}");
        for rule in rules {
            let is_known = known.iter().any(|(word, most)| numbered(word, *most, &rule));
            assert!(is_known, "{name}: {rule}");
        }
        assert!(breaks.ends_with('.') && breaks.len() > 30, "{name}: {breaks}");
    }
}

#[test]
fn the_document_says_of_every_plant_what_its_file_says() {
    let text = document();
    let rows: Vec<_> = text.lines().collect();
    for plant in plants() {
        let row = markdown_row(&plant);
        let count = rows.iter().filter(|line| **line == row).count();
        assert_eq!(count, 1, "`leasehold-plants list --markdown` prints this row:\n{row}");
    }
    let named: BTreeSet<_> = plants().into_iter().map(|plant| plant.name).collect();
    assert_eq!(listed("## In the source"), named);
}

#[test]
fn the_document_lists_the_changed_protocols_and_the_plants_of_the_simulator() {
    assert_eq!(listed("## In the model"), changed_protocols());
    assert_eq!(listed("## In the simulator"), simulated());
}

#[test]
fn there_are_enough_of_them() {
    let all = [plants().len(), changed_protocols().len(), simulated().len()];
    assert!(all.iter().all(|kind| *kind > 0) && all.iter().sum::<usize>() >= AT_LEAST, "{all:?}");
}

#[test]
fn a_plant_whose_text_has_moved_on_or_which_changes_nothing_is_refused() {
    let mut plant = plants().pop().expect("there are plants");
    assert!(plant.planted_in("").is_err());
    let twice = format!("{0}\n{0}", plant.find);
    assert!(plant.planted_in(&twice).is_err());
    plant.replace = plant.find.clone();
    assert!(plant.planted_in(&plant.find).is_err());
    plant.replace = "\n".repeat(40);
    assert!(plant.planted_in(&plant.find).is_err());
}
