//! The simulated cluster: seeds that hold, known bugs that are noticed, and that a seed repeats.
//!
//! A few of each. Many seeds, and every planted bug, are `leasehold-sim sweep` and `leasehold-sim
//! plants`.

use std::process::Command;

use leasehold_sim::simulation::{Ended, Options, Plant, run};

fn ended(seed: u64, plant: Option<Plant>) -> Ended {
    run(&Options { seed, plant, ..Options::default() })
}

/// What the first seed that notices the bug says.
fn noticed(plant: Plant) -> String {
    let noticed = (0..60).find_map(|seed| ended(seed, Some(plant)).violation);
    noticed.unwrap_or_else(|| panic!("nobody noticed {plant}")).oracle
}

#[test]
fn the_first_seeds_hold_and_something_happens_in_them() {
    for seed in 0..6 {
        let ended = ended(seed, None);
        assert_eq!(ended.violation, None, "leasehold-sim run --seed {seed}");
        for what in ["grants", "releases", "writes accepted", "leader changes"] {
            assert!(ended.figures.of(what) > 0, "no {what} from seed {seed}");
        }
    }
}

#[test]
fn a_seed_tells_the_same_story_in_another_process() {
    for seed in [3, 4] {
        let here = format!("{:016x}", ended(seed, None).hash);
        let there = Command::new(env!("CARGO_BIN_EXE_leasehold-sim"))
            .args(["run", "--hash", "--seed", &seed.to_string()])
            .output()
            .expect("the command runs");
        assert_eq!(String::from_utf8_lossy(&there.stdout).trim(), here);
    }
}

#[test]
fn another_seed_tells_another_story() {
    assert_ne!(ended(3, None).hash, ended(4, None).hash);
}

#[test]
fn too_little_in_too_many_seeds_is_said() {
    let missing = ended(4, None).figures.missing();
    assert!(
        missing.iter().any(|what| what.starts_with("hubs") || what.starts_with("dead holders"))
    );
}

#[test]
fn a_node_whose_syncs_are_lies_is_noticed_before_any_power_is_cut() {
    assert_eq!(noticed(Plant::SyncLies), "S11 applied is on a majority's disks");
}

#[test]
fn a_store_that_forgets_its_marks_is_noticed() {
    assert_eq!(noticed(Plant::StoreForgetsMarks), "F1 a mark never decreases");
}

#[test]
fn a_store_that_says_yes_where_it_refuses_is_noticed() {
    let oracle = noticed(Plant::StoreSaysYesToStale);
    assert_eq!(oracle, "S5 acknowledged writes survive, stale ones are refused");
}

#[test]
fn a_node_that_ends_the_claims_of_a_broken_connection_is_noticed() {
    let oracle = noticed(Plant::NodeCancelsWhenAConnectionBreaks);
    assert_eq!(oracle, "C1 belief inside the lease");
}

#[test]
fn a_node_that_reads_without_asking_a_majority_is_noticed() {
    assert_eq!(noticed(Plant::ReadsAskNobody), "S9 reads are current");
}

#[test]
fn a_node_that_answers_before_anything_is_decided_is_noticed() {
    assert_eq!(noticed(Plant::NodeAnswersBeforeCommit), "S10 told first, served first");
}
