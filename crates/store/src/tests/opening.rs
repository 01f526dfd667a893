//! What is checked before a store serves, and what a directory keeps from one start to the next.

use std::fs;
use std::path::Path;

use leasehold_fence::Floor;
use leasehold_types::StoreRefusal;
use redb::Database;

use super::*;
use crate::config::Config;
use crate::directory;
use crate::open::open_directory;
use crate::tables::{FORMAT, NUMBERS, number};
use crate::verify::verify;

fn config(dir: &Path) -> Config {
    Config { data_dir: dir.to_owned(), ..Config::default() }
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

fn with_floor(floor: u64) -> Options {
    Options { floor: Floor::new(floor), ..options() }
}

fn below_floor(token: u64, floor: u64) -> Outcome {
    Err(StoreRefusal::BelowFloor { token, floor })
}

#[test]
fn a_floor_outlives_the_setting_that_raised_it_and_is_never_lowered() {
    let (backend, store) = new_store();
    store.close().expect("closes");
    for (setting, in_force) in [(50, 50), (0, 50), (49, 50), (51, 51), (0, 51)] {
        let mut store = open(&backend, &with_floor(setting)).expect("opens");
        let refused = apply(&mut store, write("r", in_force - 1, 0, []));
        assert_eq!(refused, below_floor(in_force - 1, in_force), "setting {setting}");
        apply(&mut store, write("r", in_force, 0, [])).expect("at the floor");
        store.close().expect("closes");
    }
}

#[test]
fn a_raised_floor_drops_the_marks_below_it_that_guard_no_keys() {
    let (backend, mut store) = new_store();
    apply(&mut store, write("empty", 10, 1, [])).expect("accepted");
    apply(&mut store, write("full", 10, 1, [put("k", "v")])).expect("accepted");
    apply(&mut store, write("new", 20, 1, [])).expect("accepted");
    store.close().expect("closes");
    let store = open(&backend, &with_floor(20)).expect("opens");
    let kept: Vec<_> = contents(&store).marks.into_iter().map(|mark| mark.0).collect();
    assert_eq!(kept, ["full", "new"]);
}

#[test]
fn a_configured_cluster_is_pinned_at_the_start_and_must_be_the_stored_one() {
    let backend = Backend::default();
    let home = Options { cluster_id: Some("home".into()), ..options() };
    let mut store = open(&backend, &home).expect("opens");
    let refused = apply(&mut store, from_cluster("away", write("r", 1, 1, [])));
    assert_eq!(refused.expect_err("another cluster").reason(), "WRONG_CLUSTER");
    store.close().expect("closes");
    let away = Options { cluster_id: Some("away".into()), floor: Floor::new(9), ..options() };
    let error = open(&backend, &away).expect_err("contradicts what is stored");
    assert!(error.to_string().starts_with("cluster_id: \"away\" is not allowed"), "{error}");
    let mut store = open(&backend, &options()).expect("opens");
    apply(&mut store, write("r", 1, 1, [])).expect("the refused start raised no floor");
}

#[test]
fn a_directory_is_made_closed_to_others_and_used_by_one_process() {
    let parent = temporary();
    let dir = parent.path().join("new/store");
    let store = open_directory(&dir, &options()).expect("opens");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&dir).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    let second = open_directory(&dir, &options()).expect_err("is in use");
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    let verified = verify(&config(&dir)).expect_err("is in use");
    assert!(matches!(verified, OpenError::InUse { .. }), "{verified}");
    store.close().expect("closes");
    open_directory(&dir, &options()).expect("is free again").close().expect("closes");
}

#[test]
fn what_a_power_cut_leaves_of_a_database_half_made_is_no_obstacle() {
    let dir = temporary();
    fs::write(directory::unfinished(dir.path()), [0; 8_192]).expect("writes");
    let mut store = open_directory(dir.path(), &options()).expect("opens");
    apply(&mut store, write("r", 7, 1, [])).expect("accepted");
    assert!(!directory::unfinished(dir.path()).exists());
    assert!(directory::database(dir.path()).exists());
}

#[test]
fn a_database_that_is_gone_is_not_made_anew() {
    let dir = temporary();
    open_directory(dir.path(), &options()).expect("opens").close().expect("closes");
    fs::remove_file(directory::database(dir.path())).expect("is there");
    for _ in 0..2 {
        let error = open_directory(dir.path(), &options()).expect_err("is gone");
        assert!(matches!(error, OpenError::Behind { found: 0, .. }), "{error}");
    }
}

#[test]
fn a_verified_store_reports_what_it_holds_and_is_unchanged() {
    let dir = temporary();
    let mut store = open_directory(dir.path(), &options()).expect("opens");
    apply(&mut store, from_cluster("c", write("r", 7, 1, [put("k", "v")]))).expect("accepted");
    let before = contents(&store);
    store.close().expect("closes");
    for _ in 0..2 {
        let counters = verify(&config(dir.path())).expect("is well").counters;
        assert_eq!(counters.cluster_id.as_deref(), Some("c"));
        assert_eq!((counters.resources, counters.keys), (1, 1));
        assert_eq!((counters.revision, counters.highest_token), (1, 7));
    }
    assert_eq!(contents(&open_directory(dir.path(), &options()).expect("opens")), before);
}

#[test]
fn verifying_makes_no_store_where_there_is_none() {
    let dir = temporary();
    let missing = verify(&config(dir.path())).expect_err("there is none");
    assert!(matches!(missing, OpenError::Missing { .. }), "{missing}");
    assert_eq!(fs::read_dir(dir.path()).expect("reads").count(), 0);
}

#[test]
fn another_stores_database_is_refused_even_if_it_is_ahead() {
    let (own, other) = (temporary(), temporary());
    for (dir, commits) in [(&own, 1), (&other, 9)] {
        let mut store = open_directory(dir.path(), &options()).expect("opens");
        for sequence in 1..=commits {
            apply(&mut store, write("r", 7, sequence, [])).expect("accepted");
        }
        store.close().expect("closes");
    }
    fs::copy(directory::database(other.path()), directory::database(own.path())).expect("copies");
    let error = open_directory(own.path(), &options()).expect_err("is another's");
    assert!(matches!(error, OpenError::OtherStore { .. }), "{error}");
    let error = verify(&config(own.path())).expect_err("is another's");
    assert!(matches!(error, OpenError::OtherStore { .. }), "{error}");
}

#[test]
fn an_old_copy_of_the_database_is_refused_by_the_witness() {
    let dir = temporary();
    let (database, copy) = (directory::database(dir.path()), dir.path().join("copy"));
    let mut store = open_directory(dir.path(), &options()).expect("opens");
    apply(&mut store, write("r", 7, 1, [])).expect("accepted");
    store.close().expect("closes");
    fs::copy(&database, &copy).expect("copies");
    let mut store = open_directory(dir.path(), &options()).expect("opens");
    apply(&mut store, write("r", 8, 1, [])).expect("accepted");
    // The process dies here: the witness is written, and not synced.
    drop(store);
    fs::copy(&copy, &database).expect("copies");
    for _ in 0..3 {
        let error = open_directory(dir.path(), &options()).expect_err("lacks a commit");
        assert!(matches!(error, OpenError::Behind { .. }), "{error}");
        let error = verify(&config(dir.path())).expect_err("lacks a commit");
        assert!(matches!(error, OpenError::Behind { .. }), "{error}");
    }
    // What the message tells the operator to do.
    fs::remove_file(directory::witness(dir.path())).expect("is there");
    let mut store = open_directory(dir.path(), &with_floor(9)).expect("opens");
    assert_eq!(apply(&mut store, write("r", 8, 2, [])), below_floor(8, 9));
}

#[test]
fn a_database_of_a_later_format_or_another_program_is_refused() {
    let dir = temporary();
    open_directory(dir.path(), &options()).expect("opens").close().expect("closes");
    let path = directory::database(dir.path());
    let set_format = |format: Option<u64>| {
        let database = Database::open(&path).expect("opens");
        let txn = database.begin_write().expect("begins");
        let mut numbers = txn.open_table(NUMBERS).expect("opens");
        match format {
            Some(format) => drop(numbers.insert(number::FORMAT, format).expect("writes")),
            None => drop(numbers.remove(number::FORMAT).expect("writes")),
        }
        drop(numbers);
        txn.commit().expect("commits");
    };
    set_format(Some(FORMAT + 1));
    let later = open_directory(dir.path(), &options()).expect_err("is of a later format");
    assert!(matches!(later, OpenError::Format { found, .. } if found == FORMAT + 1), "{later}");
    let later = verify(&config(dir.path())).expect_err("is of a later format");
    assert!(matches!(later, OpenError::Format { .. }), "{later}");
    set_format(None);
    let other = open_directory(dir.path(), &options()).expect_err("is no store");
    assert!(matches!(other, OpenError::NotAStore { .. }), "{other}");
    fs::write(&path, b"hello, I am a letter to my aunt").expect("writes");
    let letter = open_directory(dir.path(), &options()).expect_err("is no database");
    assert!(matches!(letter, OpenError::Storage { .. }), "{letter}");
}

/// Changes one row behind the store's back, and says what opening makes of it.
fn opened_after(spoil: impl Fn(&redb::WriteTransaction)) -> OpenError {
    let (backend, mut store) = new_store();
    apply(&mut store, write("r", 7, 1, [put("k", "v")])).expect("accepted");
    let txn = store.database().begin_write().expect("begins");
    spoil(&txn);
    crate::storage::commit(txn).expect("commits");
    store.close().expect("closes");
    open(&backend, &options()).expect_err("is damaged")
}

#[test]
fn rows_that_contradict_each_other_are_damage_and_named() {
    use crate::tables::{MARKS, VALUES};
    let mark = |row: (u64, u64, &'static [u8])| {
        opened_after(move |txn| {
            txn.open_table(MARKS).expect("opens").insert("r", row).expect("writes");
        })
    };
    let value = |row: (u64, u64, &'static [u8])| {
        opened_after(move |txn| {
            txn.open_table(VALUES).expect("opens").insert(("r", "k"), row).expect("writes");
        })
    };
    let written = &[1, 1, 0, 0, 0, 0, 0, 0, 0];
    for (error, named) in [
        (mark((6, 1, written)), "F2"),
        (mark((8, 1, written)), "F1"),
        (mark((0, 0, written)), "the mark of \"r\""),
        (mark((0, 5, written)), "the mark of \"r\""),
        (mark((7, 1, &[77])), "the mark of \"r\""),
        (value((1, 8, b"v")), "F2"),
        (value((1, 0, b"v")), "F2"),
        (value((2, 7, b"v")), "version 2"),
        (value((0, 7, b"v")), "version 0"),
    ] {
        assert!(matches!(error, OpenError::Damaged { .. } | OpenError::Storage { .. }), "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
}

#[test]
fn a_repeat_whose_answer_is_lost_is_a_fault_and_no_answer() {
    let (_, mut store) = new_store();
    apply(&mut store, write("r", 7, 1, [])).expect("accepted");
    let txn = store.database().begin_write().expect("begins");
    let nothing: &[u8] = &[0];
    let mut marks = txn.open_table(crate::tables::MARKS).expect("opens");
    marks.insert("r", (7, 1, nothing)).expect("writes");
    drop(marks);
    txn.commit().expect("commits");
    let fault = store.apply([&write("r", 7, 1, [])]).expect_err("cannot be answered");
    assert!(fault.to_string().contains("lacks the answer"), "{fault}");
}
