//! The power is cut at every sync of a scripted run; what was acknowledged is there afterwards, and
//! mark and data are never apart.

use super::model::Model;
use super::random::Random;
use super::*;

/// Groups of requests that grow, shrink, refuse and repeat.
fn script() -> Vec<Vec<Request>> {
    let long = "x".repeat(20_000);
    let mut groups = vec![
        vec![write("r", 1, 1, [put("k", "v")])],
        vec![write("r", 1, 2, [append("k", "w")]), write("s", 2, 1, [put("k", "of s")])],
        vec![raise("r", 3), write("r", 1, 3, [put("k", "late")])],
        vec![from_cluster("home", write("r", 3, 1, [at_version(9, delete("k"))]))],
    ];
    for round in 0..12 {
        let token = 4 + round;
        groups.push(vec![
            write("r", token, 1, [put("k", &long), delete("old"), append("log", "line ")]),
            write(&format!("resource {round}"), token, 1, [put("k", "v")]),
            write("r", token, 1, [put("k", "repeated")]),
            write("r", token - 1, 9, [put("k", "late")]),
        ]);
    }
    groups.push(vec![write("r", 99, 1, [delete("k"), delete("log")])]);
    groups
}

/// Runs the script until the disk dies. Answers the model of what was acknowledged, and the model of
/// that and the group whose fate is unknown.
fn run(store: &mut Storage) -> (Model, Option<Model>) {
    let mut acknowledged = Model::default();
    for group in script() {
        let mut tried = acknowledged.clone();
        let expected: Vec<_> = group.iter().map(|request| tried.apply(request)).collect();
        match store.apply(&group) {
            Ok(outcomes) => assert_eq!(outcomes, expected),
            Err(_) => return (acknowledged, Some(tried)),
        }
        acknowledged = tried;
    }
    (acknowledged, None)
}

#[test]
fn a_power_cut_at_any_sync_loses_nothing_acknowledged_and_splits_no_group() {
    let (backend, mut store) = new_store();
    let opened = backend.syncs();
    run(&mut store);
    store.close().expect("closes");
    let syncs = backend.syncs();
    assert!(syncs > opened + 30, "the script is worth its name: {opened}..{syncs}");

    let (mut lost, mut kept) = (0, 0);
    for (at, seed) in (opened + 1..=syncs).flat_map(|at| (0..6).map(move |seed| (at, seed))) {
        let backend = Backend::default();
        let mut store = open(&backend, &options()).expect("opens");
        backend.fail_at(at);
        let (acknowledged, tried) = run(&mut store);
        let mut random = Random::new(at << 8 | seed);
        let after = backend.after_power_cut(&mut random);
        let mut store = open(&after, &options()).expect("opens after the power cut");
        let found = contents(&store);
        let was_kept = tried.as_ref().is_some_and(|tried| found == tried.contents());
        if !was_kept {
            assert_eq!(found, acknowledged.contents(), "sync {at}, seed {seed}");
        }
        (lost, kept) = if was_kept { (lost, kept + 1) } else { (lost + 1, kept) };
        let stale = apply(&mut store, write("never seen", 1, 1, [put("k", "it serves")]));
        stale.expect("it serves");
    }
    assert!(lost > 0 && kept > 0, "the cuts hit both sides of a commit: {lost} lost, {kept} kept");
}

/// A disk with an empty database on it: a store gives its file the name only when it is that far.
fn empty_database() -> Backend {
    let backend = Backend::default();
    let database = redb::Database::builder().create_with_backend(backend.clone());
    database.expect("makes one").close().expect("closes");
    backend
}

#[test]
fn a_power_cut_at_the_first_start_leaves_a_store_that_opens() {
    let made = empty_database();
    let from = made.syncs();
    drop(open(&made, &options()).expect("opens"));
    let syncs = made.syncs();
    assert!(syncs > from + 2, "opening syncs: {from}..{syncs}");
    for (at, seed) in (from + 1..=syncs).flat_map(|at| (0..8).map(move |seed| (at, seed))) {
        let backend = empty_database();
        backend.fail_at(at);
        let opened = open(&backend, &options());
        let after = backend.after_power_cut(&mut Random::new(at << 8 | seed));
        drop(opened);
        let mut store = open(&after, &options()).expect("opens after the power cut");
        apply(&mut store, write("r", 1, 1, [put("k", "v")])).expect("it serves");
    }
}

#[test]
fn after_a_failed_sync_nothing_more_is_answered() {
    let (backend, mut store) = new_store();
    apply(&mut store, write("r", 1, 1, [put("k", "v")])).expect("accepted");
    backend.fail_at(backend.syncs() + 1);
    store.apply([&write("r", 1, 2, [])]).expect_err("the disk died");
    store.apply([&write("r", 1, 3, [])]).expect_err("and stays dead");
    store.apply([&write("r", 1, 1, [put("k", "v")])]).expect_err("not even a repeat");
}
