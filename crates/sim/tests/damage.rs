//! Damage, a few cases of each kind; `leasehold-sim damage` tries thousands.

use leasehold_sim::damage::{Depth, Options, Plant, Report, run};

fn tried(plant: Option<Plant>) -> Report {
    let options = Options { seed: 3, depth: Depth::Few, threads: 2, case: None, plant };
    run(&options, &|line| println!("{line}")).expect("the history comes to its end")
}

#[test]
fn damage_is_detected_or_harmless_whatever_the_file_and_never_wrong() {
    let report = tried(None);
    assert_eq!(report.violations, Vec::<String>::new());
    // Of every kind of file and damage at least one, and not always the same verdict.
    assert_eq!(report.lacks(200, 20), Vec::<String>::new());
}

fn is_noticed(plant: Plant) {
    let report = tried(Some(plant));
    assert!(!report.violations.is_empty(), "nobody noticed {plant}: {report}");
}

#[test]
fn a_snapshot_whose_checksums_are_ignored_is_noticed() {
    is_noticed(Plant::SnapshotUnchecked);
}

#[test]
fn a_log_whose_checksums_are_ignored_is_noticed() {
    is_noticed(Plant::EntryUnchecked);
}

#[test]
fn a_durable_group_that_is_cut_like_a_torn_one_is_noticed() {
    is_noticed(Plant::SealedTailCut);
}

#[test]
fn a_wiped_disk_that_kept_its_identity_is_noticed() {
    is_noticed(Plant::WipedKeepsIdentity);
}

#[test]
fn an_old_copy_among_peers_that_forgot_is_noticed() {
    is_noticed(Plant::PeersForgotten);
}

#[test]
fn a_copy_made_while_the_node_ran_among_peers_that_forgot_how_far_it_had_come_is_noticed() {
    is_noticed(Plant::ReachForgotten);
}

#[test]
fn an_old_database_without_a_witness_is_noticed() {
    is_noticed(Plant::WitnessForgotten);
}
