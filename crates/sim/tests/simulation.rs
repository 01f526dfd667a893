//! The simulated cluster: seeds that hold, known bugs that are noticed, and that a seed repeats.

use std::process::Command;

use leasehold_sim::simulation::{Ended, Options, Plant, run};

fn ended(seed: u64, plant: Option<Plant>) -> Ended {
    run(&Options { seed, plant, ..Options::default() })
}

fn noticed(seed: u64, plant: Plant) -> String {
    let violation = ended(seed, Some(plant)).violation;
    violation.unwrap_or_else(|| panic!("nobody noticed {plant} from seed {seed}")).oracle
}

#[test]
fn the_pinned_seeds_hold_and_something_happens_in_them() {
    for seed in [1, 4, 5] {
        let ended = ended(seed, None);
        assert_eq!(ended.violation, None, "leasehold-sim run --seed {seed}");
        for what in ["grants", "releases", "writes accepted", "leader changes"] {
            assert!(ended.figures.of(what) > 0, "no {what} from seed {seed}");
        }
    }
}

#[test]
fn a_seed_tells_the_same_story_in_another_process() {
    let here = format!("{:016x}", ended(4, None).hash);
    let there = Command::new(env!("CARGO_BIN_EXE_leasehold-sim"))
        .args(["run", "--hash", "--seed", "4"])
        .output()
        .expect("the command runs");
    assert_eq!(String::from_utf8_lossy(&there.stdout).trim(), here);
}

#[test]
fn a_store_that_forgets_its_marks_is_noticed() {
    assert_eq!(noticed(1, Plant::StoreForgetsMarks), "F1 a mark never decreases");
}

#[test]
fn a_node_that_ends_the_claims_of_a_broken_connection_is_noticed() {
    let oracle = noticed(4, Plant::NodeCancelsWhenAConnectionBreaks);
    assert_eq!(oracle, "C1 belief inside the lease");
}

#[test]
fn a_disk_whose_sync_lies_is_noticed() {
    assert_eq!(noticed(2, Plant::SyncLies), "S11 replication");
}
