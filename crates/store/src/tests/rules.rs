//! What is accepted, what is refused, and what a refusal leaves behind.

use leasehold_fence::Floor;
use leasehold_types::StoreRefusal;

use super::*;

fn mismatch(at: u64, key: &str, expected_version: u64, actual_version: u64) -> Outcome {
    let key = key.to_owned();
    Err(StoreRefusal::VersionMismatch { mutation: at, key, expected_version, actual_version })
}

#[test]
fn a_smaller_token_is_refused_after_a_larger_one_was_seen() {
    let (backend, mut store) = new_store();
    assert_eq!(apply(&mut store, write("r", 33, 1, [put("k", "old")])), written(33, 1, 1));
    assert_eq!(apply(&mut store, write("r", 34, 1, [put("k", "new")])), written(34, 1, 2));
    assert_eq!(apply(&mut store, write("r", 33, 2, [put("k", "late")])), stale_token(33, 34, 1));
    let mut store = restarted(&backend, store);
    assert_eq!(apply(&mut store, write("r", 33, 3, [put("k", "late")])), stale_token(33, 34, 1));
    assert_eq!(value_of(&store, "r", "k").as_deref(), Some("new"));
}

#[test]
fn resources_do_not_see_each_others_keys_nor_marks() {
    let (_, mut store) = new_store();
    assert_eq!(apply(&mut store, write("a", 9, 1, [put("k", "of a")])), written(9, 1, 1));
    assert_eq!(apply(&mut store, write("b", 1, 1, [put("k", "of b")])), written(1, 1, 2));
    assert_eq!(apply(&mut store, write("b", 1, 2, [delete("k")])), written(1, 2, 3));
    assert_eq!(value_of(&store, "a", "k").as_deref(), Some("of a"));
    assert_eq!(value_of(&store, "b", "k"), None);
}

/// Every verb that reaches the store under a token, each with what makes it one of a kind.
fn every_verb(resource: &str, presented: u64, sequence: u64) -> Vec<(&'static str, Request)> {
    vec![
        ("put", write(resource, presented, sequence, [put("k", "late")])),
        ("put of a new key", write(resource, presented, sequence, [put("new", "late")])),
        ("delete", write(resource, presented, sequence, [delete("k")])),
        ("delete of nothing", write(resource, presented, sequence, [delete("nothing")])),
        ("append", write(resource, presented, sequence, [append("k", "late")])),
        ("append to nothing", write(resource, presented, sequence, [append("new", "late")])),
        ("compare", write(resource, presented, sequence, [at_version(2, put("k", "late"))])),
        ("several", write(resource, presented, sequence, [delete("k"), put("k", "late")])),
        ("none", write(resource, presented, sequence, [])),
    ]
}

#[test]
fn every_verb_is_fenced_alike() {
    let (backend, mut store) = new_store();
    apply(&mut store, from_cluster("c", write("r", 34, 1, [put("k", "v")]))).expect("accepted");
    apply(&mut store, write("r", 34, 5, [put("k", "value")])).expect("accepted");
    let before = contents(&store);
    let refuse = |store: &mut Storage, verb: &str, request: Request, reason: &str| {
        let refusal = apply(store, request).expect_err(verb);
        assert_eq!(refusal.reason(), reason, "{verb}");
        assert_eq!(contents(store), before, "{verb} changed something");
    };
    for (verb, request) in every_verb("r", 33, 9).into_iter().chain([("read", raise("r", 33))]) {
        refuse(&mut store, verb, request, "STALE_TOKEN");
    }
    for (verb, request) in every_verb("r", 33, 0) {
        refuse(&mut store, verb, request, "STALE_TOKEN");
    }
    for (verb, request) in every_verb("r", 34, 4) {
        refuse(&mut store, verb, request, "STALE_SEQUENCE");
    }
    for (verb, request) in every_verb("r", 99, 1).into_iter().chain([("read", raise("r", 99))]) {
        refuse(&mut store, verb, from_cluster("other", request), "WRONG_CLUSTER");
    }
    store.close().expect("closes");
    let with_floor = Options { floor: Floor::new(100), ..options() };
    let mut store = open(&backend, &with_floor).expect("opens");
    for (verb, request) in every_verb("r", 99, 9).into_iter().chain([("read", raise("r", 99))]) {
        refuse(&mut store, verb, request, "BELOW_FLOOR");
    }
}

#[test]
fn a_repeat_is_answered_as_the_first_time_and_not_applied_again() {
    let (backend, mut store) = new_store();
    let request = write("r", 7, 1, [append("log", "x")]);
    assert_eq!(apply(&mut store, request.clone()), written(7, 1, 1));
    assert_eq!(apply(&mut store, write("other", 8, 1, [])), written(8, 1, 2));
    assert_eq!(apply(&mut store, request.clone()), written(7, 1, 1));
    let mut store = restarted(&backend, store);
    assert_eq!(apply(&mut store, request), written(7, 1, 1));
    assert_eq!(value_of(&store, "r", "log").as_deref(), Some("x"));
}

#[test]
fn two_copies_of_a_write_in_one_group_are_applied_once() {
    let (_, mut store) = new_store();
    let request = write("r", 7, 1, [append("log", "x")]);
    let outcomes = store.apply([&request, &request]).expect("the disk is well");
    assert_eq!(outcomes, [written(7, 1, 1), written(7, 1, 1)]);
    assert_eq!(value_of(&store, "r", "log").as_deref(), Some("x"));
}

#[test]
fn a_late_duplicate_does_not_undo_the_holders_later_write() {
    let (_, mut store) = new_store();
    apply(&mut store, write("r", 7, 1, [put("k", "first")])).expect("accepted");
    apply(&mut store, write("r", 7, 2, [put("k", "second")])).expect("accepted");
    let late = apply(&mut store, write("r", 7, 1, [put("k", "first")]));
    let refusal = StoreRefusal::StaleSequence { sequence: 1, mark_token: 7, mark_sequence: 2 };
    assert_eq!(late, Err(refusal));
    assert_eq!(value_of(&store, "r", "k").as_deref(), Some("second"));
}

#[test]
fn a_version_mismatch_is_remembered_even_when_the_version_would_match_later() {
    let (backend, mut store) = new_store();
    apply(&mut store, write("r", 7, 0, [put("k", "one")])).expect("accepted");
    let refused = write("r", 7, 1, [at_version(2, put("k", "mine"))]);
    assert_eq!(apply(&mut store, refused.clone()), mismatch(0, "k", 2, 1));
    // A write without a sequence gives the key the version that was expected.
    assert_eq!(apply(&mut store, write("r", 7, 0, [put("k", "two")])), written(7, 1, 2));
    assert_eq!(apply(&mut store, refused.clone()), mismatch(0, "k", 2, 1));
    let mut store = restarted(&backend, store);
    assert_eq!(apply(&mut store, refused), mismatch(0, "k", 2, 1));
    assert_eq!(value_of(&store, "r", "k").as_deref(), Some("two"));
}

#[test]
fn a_refused_write_raises_the_mark_and_leaves_no_data() {
    let (_, mut store) = new_store();
    apply(&mut store, write("r", 7, 1, [put("a", "1")])).expect("accepted");
    let refused = write("r", 8, 1, [delete("a"), put("b", "2"), at_version(9, put("c", "3"))]);
    assert_eq!(apply(&mut store, refused), mismatch(2, "c", 9, 0));
    assert_eq!(value_of(&store, "r", "a").as_deref(), Some("1"));
    assert_eq!(value_of(&store, "r", "b"), None);
    assert_eq!(apply(&mut store, write("r", 7, 2, [])), stale_token(7, 8, 1));
    assert_eq!(contents(&store).revision, 1, "only accepted writes count");
}

#[test]
fn a_refused_write_leaves_nothing_in_the_transaction_it_shares() {
    let (_, mut store) = new_store();
    let requests = [
        write("r", 7, 1, [put("a", "1")]),
        write("r", 7, 2, [put("a", "gone"), put("b", "gone"), at_version(9, delete("a"))]),
        write("r", 6, 1, [put("c", "gone")]),
        write("r", 7, 3, [append("a", "2")]),
    ];
    let outcomes = store.apply(&requests).expect("the disk is well");
    let expected =
        [written(7, 1, 1), mismatch(2, "a", 9, 2), stale_token(6, 7, 2), written(7, 3, 2)];
    assert_eq!(outcomes, expected);
    assert_eq!(value_of(&store, "r", "a").as_deref(), Some("12"));
    assert_eq!(contents(&store).values.len(), 1);
}

#[test]
fn an_append_that_would_grow_too_long_is_refused_and_remembered() {
    let (_, mut store) = new_store();
    let whole = "x".repeat(leasehold_api::VALUE_BYTES_MAX);
    apply(&mut store, write("r", 7, 1, [put("k", &whole)])).expect("accepted");
    let limit = whole.len() as u64;
    let too_large = Err(StoreRefusal::ValueTooLarge { key: "k".into(), bytes: limit + 1, limit });
    let grow = write("r", 7, 2, [put("other", "gone"), append("k", "y")]);
    assert_eq!(apply(&mut store, grow.clone()), too_large);
    apply(&mut store, write("r", 7, 0, [delete("k")])).expect("accepted");
    assert_eq!(apply(&mut store, grow), too_large);
    assert_eq!(contents(&store).values, []);
}

#[test]
fn a_write_that_changes_several_keys_gives_them_one_version_and_its_token() {
    let (_, mut store) = new_store();
    let request = write("r", 7, 1, [put("a", "1"), append("b", "2"), put("a", "3")]);
    assert_eq!(apply(&mut store, request), written(7, 1, 1));
    let expected = [
        ("r".into(), "a".into(), 1, 7, b"3".to_vec()),
        ("r".into(), "b".into(), 1, 7, b"2".to_vec()),
    ];
    assert_eq!(contents(&store).values, expected);
}

#[test]
fn deleting_every_key_keeps_the_mark() {
    let (backend, mut store) = new_store();
    apply(&mut store, write("r", 7, 1, [put("k", "v")])).expect("accepted");
    apply(&mut store, write("r", 7, 2, [delete("k")])).expect("accepted");
    let mut store = restarted(&backend, store);
    assert_eq!(apply(&mut store, write("r", 6, 1, [put("k", "late")])), stale_token(6, 7, 2));
}

#[test]
fn an_empty_write_and_a_read_with_a_token_raise_the_mark() {
    let (_, mut store) = new_store();
    assert_eq!(apply(&mut store, write("w", 7, 1, [])), written(7, 1, 1));
    assert_eq!(apply(&mut store, write("w", 6, 1, [])), stale_token(6, 7, 1));
    assert_eq!(apply(&mut store, raise("r", 7)), written(7, 0, 1));
    assert_eq!(apply(&mut store, write("r", 6, 1, [])), stale_token(6, 7, 0));
    assert_eq!(apply(&mut store, raise("w", 7)), written(7, 1, 1), "the sequence stays");
}

#[test]
fn a_write_without_a_sequence_keeps_the_answer_of_the_last_one_with() {
    let (_, mut store) = new_store();
    assert_eq!(apply(&mut store, write("r", 7, 1, [put("k", "a")])), written(7, 1, 1));
    assert_eq!(apply(&mut store, write("r", 7, 0, [append("k", "b")])), written(7, 1, 2));
    assert_eq!(apply(&mut store, write("r", 7, 0, [append("k", "b")])), written(7, 1, 3));
    assert_eq!(apply(&mut store, write("r", 7, 1, [put("k", "a")])), written(7, 1, 1));
    assert_eq!(value_of(&store, "r", "k").as_deref(), Some("abb"));
}

#[test]
fn refusals_and_repeats_cost_no_sync() {
    let (backend, mut store) = new_store();
    apply(&mut store, write("r", 7, 2, [put("k", "v")])).expect("accepted");
    let (syncs, commits) = (backend.syncs(), store.commits());
    for request in [
        write("r", 7, 2, [put("k", "v")]),
        write("r", 7, 1, [put("k", "v")]),
        write("r", 6, 9, [put("k", "v")]),
        raise("r", 7),
        raise("r", 6),
    ] {
        let _answer = apply(&mut store, request);
    }
    assert_eq!((backend.syncs(), store.commits()), (syncs, commits));
}

#[test]
fn of_two_clusters_in_one_group_only_one_is_the_first() {
    let (_, mut store) = new_store();
    let home = from_cluster("home", write("r", 7, 1, []));
    let away = from_cluster("away", write("r", 9, 1, []));
    let outcomes = store.apply([&home, &away]).expect("the disk is well");
    let (presented, pinned) = ("away".to_owned(), "home".to_owned());
    let refused = Err(StoreRefusal::WrongCluster { presented, pinned });
    assert_eq!(outcomes, [written(7, 1, 1), refused]);
}

#[test]
fn the_first_cluster_that_is_admitted_is_remembered_and_another_refused() {
    let (backend, mut store) = new_store();
    let wrong = |presented: &str| {
        let (presented, pinned) = (presented.to_owned(), "home".to_owned());
        Err(StoreRefusal::WrongCluster { presented, pinned })
    };
    apply(&mut store, write("r", 7, 1, [])).expect("an untold cluster is not checked");
    // A stale write pins nothing: whoever sent it may be the stranger.
    apply(&mut store, from_cluster("away", write("r", 6, 1, []))).expect_err("is stale");
    apply(&mut store, from_cluster("home", write("r", 7, 2, []))).expect("is the first");
    assert_eq!(apply(&mut store, from_cluster("away", write("r", 9, 1, []))), wrong("away"));
    let mut store = restarted(&backend, store);
    assert_eq!(apply(&mut store, from_cluster("away", raise("r", 9))), wrong("away"));
    apply(&mut store, write("r", 9, 1, [])).expect("an untold cluster is not checked");
    apply(&mut store, from_cluster("home", write("r", 9, 2, []))).expect("is the one");
}

#[test]
fn a_resource_more_than_allowed_is_refused_and_known_ones_go_on() {
    let backend = Backend::default();
    let two = Options { resources_max: 2, ..options() };
    let mut store = open(&backend, &two).expect("opens");
    apply(&mut store, write("a", 1, 1, [put("k", "v")])).expect("the first");
    apply(&mut store, raise("b", 1)).expect("a read with a token makes a mark too");
    let before = contents(&store);
    let too_many = Err(StoreRefusal::TooManyResources { limit: 2 });
    assert_eq!(apply(&mut store, write("c", 1, 1, [put("k", "v")])), too_many);
    assert_eq!(apply(&mut store, raise("c", 1)), too_many);
    assert_eq!(contents(&store), before);
    apply(&mut store, write("a", 1, 2, [delete("k")])).expect("known");
    assert_eq!(apply(&mut store, raise("c", 1)), too_many, "a mark outlives its keys");
}

#[test]
fn the_largest_token_and_sequence_are_a_mark_like_any_other() {
    let (_, mut store) = new_store();
    let max = u64::MAX;
    assert_eq!(apply(&mut store, write("r", max, max, [])), written(max, max, 1));
    assert_eq!(apply(&mut store, write("r", max, max, [])), written(max, max, 1));
    assert_eq!(apply(&mut store, write("r", max - 1, 1, [])), stale_token(max - 1, max, max));
    assert_eq!(contents(&store).highest_token, max);
}
