//! The single calls of a store, as its clients see them, over loopback.

mod support;

use leasehold_api::pb::store::v1 as pb;
use leasehold_store::Config;
use support::*;
use tonic::{Code, Status};

#[tokio::test]
async fn what_is_written_is_read_back_with_its_version_and_token() {
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    let request = write("r", 7, 1, [put("k", "v"), append("log", "line")]);
    let written = store.client.write(request).await.expect("accepted").into_inner();
    assert_eq!(written.mark, Some(pb::Mark { token: 7, sequence: 1 }));
    assert_eq!(written.revision, 1);
    let read = store.client.get(get("r", "k")).await.expect("answers").into_inner();
    let entry = pb::Entry { key: "k".into(), value: "v".into(), version: 1, token: 7 };
    assert_eq!((read.entry, read.mark), (Some(entry), written.mark));
    let gone = store.client.write(write("r", 7, 2, [delete("k")])).await.expect("accepted");
    assert_eq!(gone.into_inner().revision, 2);
    let read = store.client.get(get("r", "k")).await.expect("answers").into_inner();
    assert_eq!((read.entry, read.mark), (None, Some(pb::Mark { token: 7, sequence: 2 })));
    let unknown = store.client.get(get("unknown", "k")).await.expect("answers").into_inner();
    assert_eq!(unknown.mark, Some(pb::Mark::default()));
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn every_refusal_is_a_status_with_its_reason_and_facts() {
    let dir = temporary();
    let mut store = start(Config { resources_max: 1, ..config(&dir) }).await;
    let home = |request| pb::WriteRequest { cluster_id: "home".into(), ..request };
    store.client.write(home(write("r", 7, 2, [put("k", "v")]))).await.expect("accepted");
    let refused = async |request: pb::WriteRequest| {
        store.client.clone().write(request).await.expect_err("is refused")
    };

    let status = refused(write("r", 6, 9, [])).await;
    assert_refused(&status, Code::FailedPrecondition, "STALE_TOKEN");
    assert_eq!(failure(&status).metadata["mark_token"], "7");
    assert_eq!(failure(&status).metadata["mark_sequence"], "2");
    let status = refused(write("r", 7, 1, [])).await;
    assert_refused(&status, Code::FailedPrecondition, "STALE_SEQUENCE");
    let away = pb::WriteRequest { cluster_id: "away".into(), ..write("r", 7, 3, []) };
    let status = refused(away).await;
    assert_refused(&status, Code::FailedPrecondition, "WRONG_CLUSTER");
    assert_eq!(failure(&status).metadata["cluster_id"], "home");
    let status = refused(write("another", 7, 1, [])).await;
    assert_refused(&status, Code::ResourceExhausted, "TOO_MANY_RESOURCES");

    let compare = pb::Mutation { expected_version: Some(5), ..put("k", "w") };
    let status = refused(write("r", 7, 3, [compare])).await;
    assert_refused(&status, Code::Aborted, "VERSION_MISMATCH");
    let facts = failure(&status).metadata;
    let told = ["mutation", "key", "expected_version", "actual_version"].map(|k| &*facts[k]);
    assert_eq!(told, ["0", "k", "5", "1"]);
    let full = put("full", vec![0; 1 << 20]);
    let status = refused(write("r", 7, 4, [full, append("full", "x")])).await;
    assert_refused(&status, Code::ResourceExhausted, "VALUE_TOO_LARGE");

    let stale = pb::GetRequest { token: Some(6), ..get("r", "k") };
    let status = store.client.get(stale).await.expect_err("is refused");
    assert_refused(&status, Code::FailedPrecondition, "STALE_TOKEN");
    let stale = pb::ListRequest { token: Some(6), ..list("r") };
    let status = store.client.list(stale).await.expect_err("is refused");
    assert_refused(&status, Code::FailedPrecondition, "STALE_TOKEN");
    store.stop().await.expect("stops");

    let floor = leasehold_fence::Floor::new(100);
    let mut store = start(Config { floor, ..config(&dir) }).await;
    let status = store.client.write(write("r", 99, 1, [])).await.expect_err("is refused");
    assert_refused(&status, Code::FailedPrecondition, "BELOW_FLOOR");
    assert_eq!(failure(&status).metadata["floor"], "100");
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn the_longest_key_of_the_strangest_letters_fits_into_a_refusal() {
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    // Written out, each of these takes eight letters.
    let key = "\u{200b}".repeat(341);
    let compare = pb::Mutation { expected_version: Some(5), ..put(&key, "v") };
    let status = store.client.write(write("r", 1, 1, [compare])).await.expect_err("is refused");
    assert_refused(&status, Code::Aborted, "VERSION_MISMATCH");
    assert_eq!(failure(&status).metadata["key"], key);
    store.stop().await.expect("stops");
}

fn bad_writes() -> Vec<(&'static str, pb::WriteRequest)> {
    let good = || write("r", 9, 9, [put("k", "late")]);
    let with = |mutation: pb::Mutation| write("r", 9, 9, [put("k", "late"), mutation]);
    let named = |resource: &str| pb::WriteRequest { resource: resource.to_owned(), ..good() };
    let many = vec![delete("k"); 1_001];
    let long = vec![put("k", vec![0; 1 << 20]); 3];
    vec![
        ("resource", named("")),
        ("resource", named(&"r".repeat(257))),
        ("resource", named("r\n")),
        ("token", pb::WriteRequest { token: 0, ..good() }),
        ("cluster_id", pb::WriteRequest { cluster_id: "c".repeat(257), ..good() }),
        ("mutations", pb::WriteRequest { mutations: many, ..good() }),
        ("mutations", pb::WriteRequest { mutations: long, ..good() }),
        ("mutations[1].operation", with(pb::Mutation::default())),
        ("mutations[1].key", with(put("", "v"))),
        ("mutations[1].key", with(delete(&"k".repeat(1_025)))),
        ("mutations[1].key", with(append("k\0", "v"))),
        ("mutations[1].value", with(put("k", vec![0; (1 << 20) + 1]))),
    ]
}

fn bad_gets() -> Vec<(&'static str, pb::GetRequest)> {
    vec![
        ("resource", get("", "k")),
        ("key", get("r", "")),
        ("key", get("r", "\u{7f}")),
        ("token", pb::GetRequest { token: Some(0), ..get("r", "k") }),
        ("cluster_id", pb::GetRequest { cluster_id: "c".repeat(257), ..get("r", "k") }),
    ]
}

fn bad_lists() -> Vec<(&'static str, pb::ListRequest)> {
    vec![
        ("resource", list(&"r".repeat(257))),
        ("prefix", pb::ListRequest { prefix: "p".repeat(1_025), ..list("r") }),
        ("page_size", pb::ListRequest { page_size: 1_001, ..list("r") }),
        ("page_token", pb::ListRequest { page_token: "\n".into(), ..list("r") }),
        ("token", pb::ListRequest { token: Some(0), ..list("r") }),
        ("cluster_id", pb::ListRequest { cluster_id: "c".repeat(257), ..list("r") }),
    ]
}

fn assert_names(status: &Status, field: &str) {
    assert_refused(status, Code::InvalidArgument, "BAD_FIELD");
    let facts = failure(status).metadata;
    assert_eq!(facts["field"], field);
    assert!(!facts["got"].is_empty() && !facts["allowed"].is_empty(), "{facts:?}");
}

#[tokio::test]
async fn bad_input_on_any_field_names_it_and_changes_nothing() {
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    store.client.write(write("r", 7, 1, [put("k", "v")])).await.expect("accepted");
    let status = |mut client: Client| async move {
        client.status(pb::StatusRequest {}).await.expect("answers").into_inner()
    };
    let before = status(store.client.clone()).await;
    for (field, request) in bad_writes() {
        let status = store.client.write(request).await.expect_err(field);
        assert_names(&status, field);
    }
    for (field, request) in bad_gets() {
        let status = store.client.get(request).await.expect_err(field);
        assert_names(&status, field);
    }
    for (field, request) in bad_lists() {
        let status = store.client.list(request).await.expect_err(field);
        assert_names(&status, field);
    }
    let huge = write("r", 9, 9, [put("k", vec![0; 5 << 20])]);
    let too_long = store.client.write(huge).await.expect_err("is longer than any message");
    assert_eq!(too_long.code(), Code::OutOfRange, "{too_long:?}");
    assert_eq!(status(store.client.clone()).await, before);
    let last = write("r", u64::MAX, u64::MAX, [put("k", "w")]);
    store.client.write(last).await.expect("the largest numbers are allowed");
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn pages_lead_to_each_other_until_the_last() {
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    let keys: Vec<String> = (0..250).map(|number| format!("k{number:03}")).collect();
    let mutations = keys.iter().map(|key| put(key, "v")).collect();
    let all = pb::WriteRequest { mutations, ..write("r", 7, 1, []) };
    store.client.write(all).await.expect("accepted");
    let (mut found, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let ask = pb::ListRequest { page_token, token: Some(8), ..list("r") };
        let page = store.client.list(ask).await.expect("answers").into_inner();
        assert_eq!(page.mark, Some(pb::Mark { token: 8, sequence: 0 }));
        found.extend(page.entries.into_iter().map(|entry| entry.key));
        (page_token, pages) = (page.next_page_token, pages + 1);
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((found, pages), (keys, 3));
    store.stop().await.expect("stops");
}
