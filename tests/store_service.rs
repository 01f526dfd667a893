//! Every call of the fenced store, against a real process, with generated code alone.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use harness::Cluster;
use harness::wire::{bad_field, read, reason, write};
use leasehold_api::pb::store::v1 as pb;
use tonic::Code;

#[tokio::test]
async fn every_call_of_the_store_does_what_it_says() {
    let cluster = Cluster::start(1).await;
    let mut store = cluster.store_client();

    let first = store.write(write("r", 5, 1, "k", "one")).await.unwrap().into_inner();
    assert_eq!(first.mark, Some(pb::Mark { token: 5, sequence: 1 }));
    let again = store.write(write("r", 5, 1, "k", "not applied")).await.unwrap().into_inner();
    assert_eq!(again, first, "a repeated write is answered as the first time");
    let entry = store.get(read("r", "k")).await.unwrap().into_inner().entry.unwrap();
    assert_eq!((&entry.value[..], entry.token, entry.version), (&b"one"[..], 5, first.revision));

    store.write(write("r", 5, 2, "k", "two")).await.unwrap();
    let late = store.write(write("r", 5, 1, "k", "late")).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::FailedPrecondition, "STALE_SEQUENCE"));
    store.write(write("r", 6, 1, "k", "three")).await.unwrap();
    let stale = store.write(write("r", 5, 3, "k", "stale")).await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::FailedPrecondition, "STALE_TOKEN"));

    let fence = pb::WriteRequest { mutations: vec![], ..write("r", 7, 0, "", "") };
    store.write(fence).await.unwrap();
    let fenced = store.write(write("r", 6, 2, "k", "fenced")).await.unwrap_err();
    assert_eq!(reason(&fenced), "STALE_TOKEN", "an empty write raises the mark");

    let reader = pb::GetRequest { token: Some(9), ..read("r", "k") };
    let got = store.get(reader).await.unwrap().into_inner();
    assert_eq!(&got.entry.unwrap().value[..], b"three");
    let overtaken = store.write(write("r", 8, 1, "k", "x")).await.unwrap_err();
    assert_eq!(reason(&overtaken), "STALE_TOKEN", "a read with a token raises the mark first");
    let stale_read = pb::GetRequest { token: Some(8), ..read("r", "k") };
    assert_eq!(reason(&store.get(stale_read).await.unwrap_err()), "STALE_TOKEN");

    let mutation =
        |operation, expected_version| pb::Mutation { operation: Some(operation), expected_version };
    use pb::mutation::Operation;
    let append = |text: &str| {
        Operation::Append(pb::Append { key: "log".into(), value: text.as_bytes().to_vec().into() })
    };
    let delete = Operation::Delete(pb::Delete { key: "k".into() });
    let several = pb::WriteRequest {
        mutations: vec![
            mutation(append("a"), Some(0)),
            mutation(append("b"), None),
            mutation(delete, None),
        ],
        ..write("r", 9, 1, "", "")
    };
    store.write(several).await.unwrap();
    let list = pb::ListRequest { resource: "r".into(), ..Default::default() };
    let entries = store.list(list).await.unwrap().into_inner().entries;
    let keys: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), &entry.value[..])).collect();
    assert_eq!(keys, [("log", &b"ab"[..])]);

    let compare = pb::WriteRequest {
        mutations: vec![mutation(append("c"), None), mutation(append("d"), Some(12_345))],
        ..write("r", 9, 2, "", "")
    };
    let mismatch = store.write(compare.clone()).await.unwrap_err();
    assert_eq!((mismatch.code(), reason(&mismatch).as_str()), (Code::Aborted, "VERSION_MISMATCH"));
    let repeated = store.write(compare).await.unwrap_err();
    assert_eq!(reason(&repeated), "VERSION_MISMATCH", "the first answer, remembered");
    let log = store.get(read("r", "log")).await.unwrap().into_inner().entry.unwrap();
    assert_eq!(&log.value[..], b"ab", "all or nothing");

    let status = store.status(pb::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.resources, status.keys, status.highest_token), (1, 1, 9));
    assert!(status.stale_refused >= 4);
}

#[tokio::test]
async fn a_write_stream_answers_in_order_and_outlives_a_refusal() {
    let cluster = Cluster::start(1).await;
    let mut store = cluster.store_client();
    let writes: Vec<_> = (1..=100u64)
        .map(|attempt| {
            let token = if attempt == 50 { 1 } else { 2 };
            let write = write("stream", token, attempt, "k", &attempt.to_string());
            pb::WriteStreamRequest { attempt, write: Some(write) }
        })
        .collect();
    let mut answers = store.write_stream(tokio_stream::iter(writes)).await.unwrap();
    let mut seen = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let written = matches!(answer.result, Some(pb::write_stream_response::Result::Written(_)));
        assert_eq!(written, answer.attempt != 50);
        seen.push(answer.attempt);
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    let entry = store.get(read("stream", "k")).await.unwrap().into_inner().entry.unwrap();
    assert_eq!(&entry.value[..], b"100");
}

#[tokio::test]
async fn marks_and_data_survive_sigkill() {
    let mut cluster = Cluster::start(1).await;
    let mut store = cluster.store_client();
    let written = store.write(write("r", 7, 1, "k", "kept")).await.unwrap().into_inner();
    cluster.kill_store();
    cluster.start_store();
    cluster.wait_for_store().await;
    let mut store = cluster.store_client();
    let stale = store.write(write("r", 6, 1, "k", "stale")).await.unwrap_err();
    assert_eq!(reason(&stale), "STALE_TOKEN");
    let again = store.write(write("r", 7, 1, "k", "not applied")).await.unwrap().into_inner();
    assert_eq!(again, written, "the last answer is remembered over a crash");
    let entry = store.get(read("r", "k")).await.unwrap().into_inner().entry.unwrap();
    assert_eq!(&entry.value[..], b"kept");
}

#[tokio::test]
async fn a_store_keeps_to_the_cluster_it_was_first_written_under() {
    let cluster = Cluster::start(1).await;
    let mut store = cluster.store_client();
    let from = |cluster_id: &str, sequence| pb::WriteRequest {
        cluster_id: cluster_id.into(),
        ..write("r", 1, sequence, "k", "v")
    };
    store.write(from("ours", 1)).await.unwrap();
    let other = store.write(from("theirs", 2)).await.unwrap_err();
    assert_eq!(
        (other.code(), reason(&other).as_str()),
        (Code::FailedPrecondition, "WRONG_CLUSTER")
    );
    store.write(from("ours", 2)).await.unwrap();
}

#[tokio::test]
async fn bad_input_is_named_changes_nothing_and_harms_nobody() {
    let cluster = Cluster::start(1).await;
    let mut store = cluster.store_client();
    let good = || write("r", 1, 1, "k", "v");
    let key =
        |key: &str| pb::WriteRequest { mutations: write("r", 1, 1, key, "v").mutations, ..good() };
    let cases = [
        (pb::WriteRequest { resource: String::new(), ..good() }, "resource"),
        (pb::WriteRequest { resource: "x".repeat(257), ..good() }, "resource"),
        (pb::WriteRequest { resource: "a\r".into(), ..good() }, "resource"),
        (pb::WriteRequest { token: 0, ..good() }, "token"),
        (key(""), "mutations[0].key"),
        (key(&"k".repeat(1_025)), "mutations[0].key"),
        (key("a\tb"), "mutations[0].key"),
        (write("r", 1, 1, "k", &"v".repeat((1 << 20) + 1)), "mutations[0].value"),
        (
            pb::WriteRequest { mutations: vec![pb::Mutation::default()], ..good() },
            "mutations[0].operation",
        ),
        (
            pb::WriteRequest { mutations: vec![good().mutations.remove(0); 1_001], ..good() },
            "mutations",
        ),
        (pb::WriteRequest { cluster_id: "x".repeat(257), ..good() }, "cluster_id"),
    ];
    for (request, field) in cases {
        assert_eq!(bad_field(&store.write(request).await.unwrap_err()), field);
    }
    let gets = [
        (read("", "k"), "resource"),
        (read("r", ""), "key"),
        (pb::GetRequest { token: Some(0), ..read("r", "k") }, "token"),
    ];
    for (request, field) in gets {
        assert_eq!(bad_field(&store.get(request).await.unwrap_err()), field);
    }
    let list = pb::ListRequest { resource: "r".into(), ..Default::default() };
    let lists = [
        (pb::ListRequest { resource: String::new(), ..list.clone() }, "resource"),
        (pb::ListRequest { prefix: "x".repeat(1_025), ..list.clone() }, "prefix"),
        (pb::ListRequest { page_size: 1_001, ..list.clone() }, "page_size"),
        (pb::ListRequest { page_token: "\n".into(), ..list.clone() }, "page_token"),
        (pb::ListRequest { token: Some(0), ..list }, "token"),
    ];
    for (request, field) in lists {
        assert_eq!(bad_field(&store.list(request).await.unwrap_err()), field);
    }
    let status = store.status(pb::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.revision, status.resources, status.keys), (0, 0, 0));
    let extremes = write("r", u64::MAX, u64::MAX, "k", "v");
    store.write(extremes).await.expect("the ends of the range are allowed, and the store is alive");
}
