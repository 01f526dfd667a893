//! The write stream of a store, over loopback.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_api::pb::store::v1 as pb;
use leasehold_api::pb::store::v1::write_stream_response::Result as Answer;
use leasehold_api::{Failure, Problem};
use leasehold_store::Config;
use support::*;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Code;

/// An open write stream.
struct Pipeline {
    requests: mpsc::Sender<pb::WriteStreamRequest>,
    responses: tonic::Streaming<pb::WriteStreamResponse>,
}

async fn pipeline(client: &mut Client) -> Pipeline {
    let (requests, stream) = mpsc::channel(1_000);
    let responses = client.write_stream(ReceiverStream::new(stream)).await.expect("opens");
    Pipeline { requests, responses: responses.into_inner() }
}

impl Pipeline {
    async fn send(&self, attempt: u64, write: Option<pb::WriteRequest>) {
        let request = pb::WriteStreamRequest { attempt, write };
        self.requests.send(request).await.expect("the stream is open");
    }

    async fn answer(&mut self) -> (u64, Result<u64, Problem>) {
        let next = timeout(BOUND, self.responses.next()).await.expect("answers in time");
        let response = next.expect("the stream is open").expect("is no status");
        let result = match response.result.expect("a server of ours says which") {
            Answer::Written(written) => Ok(written.revision),
            Answer::Failed(failed) => Err(Failure::from(failed).problem()),
        };
        (response.attempt, result)
    }
}

/// So many of the smallest writes as fast as they go, each in a frame of its own. Counts those that
/// the connection took.
fn flood(
    resource: &'static str,
    writes: u64,
    sent: &Arc<AtomicU64>,
) -> impl Stream<Item = pb::WriteStreamRequest> + Send + 'static {
    let sent = sent.clone();
    tokio_stream::iter(1..=writes).then(move |sequence| {
        sent.store(sequence, Ordering::Relaxed);
        async move {
            // Whatever is ready at one moment would share a frame.
            tokio::task::yield_now().await;
            let write = Some(write(resource, 7, sequence, []));
            pb::WriteStreamRequest { attempt: sequence, write }
        }
    })
}

/// Waits until that many were sent.
async fn reached(sent: &AtomicU64, writes: u64) {
    timeout(BOUND, async {
        while sent.load(Ordering::Relaxed) < writes {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("is sent in time");
}

fn reason(result: &Result<u64, Problem>) -> &str {
    result.as_ref().map_or_else(Problem::reason, |_| "OK")
}

#[tokio::test]
async fn a_stream_is_applied_and_answered_in_order_and_outlives_refusals() {
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    let mut pipeline = pipeline(&mut store.client).await;
    let compare = pb::Mutation { expected_version: Some(9), ..put("log", "gone") };
    let story = [
        (Some(write("r", 7, 1, [append("log", "1")])), "OK"),
        (Some(write("r", 7, 1, [append("log", "1")])), "OK"),
        (Some(write("r", 6, 1, [append("log", "gone")])), "STALE_TOKEN"),
        (None, "BAD_FIELD"),
        (Some(write("r", 0, 1, [])), "BAD_FIELD"),
        (Some(write("r", 7, 2, [compare])), "VERSION_MISMATCH"),
        (Some(write("r", 7, 3, [append("log", "3")])), "OK"),
        (Some(write("r", 7, 2, [append("log", "gone")])), "STALE_SEQUENCE"),
    ];
    for (attempt, (write, _)) in (100..).zip(&story) {
        pipeline.send(attempt, write.clone()).await;
    }
    for (attempt, (_, expected)) in (100..).zip(&story) {
        let (answered, result) = pipeline.answer().await;
        assert_eq!((answered, reason(&result)), (attempt, *expected));
        if let Err(Problem::BadField(bad)) = result {
            assert!(bad.field == "write" || bad.field == "write.token", "{bad}");
        }
    }
    let log = store.client.get(get("r", "log")).await.expect("answers").into_inner().entry;
    assert_eq!(log.map(|entry| entry.value), Some("13".into()));
    drop(pipeline);
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn a_long_pipeline_is_never_told_that_the_queue_is_full() {
    let dir = temporary();
    let mut store = start(Config { queue_max: 2, ..config(&dir) }).await;
    let mut pipeline = pipeline(&mut store.client).await;
    for sequence in 1..=1_000 {
        pipeline.send(sequence, Some(write("r", 7, sequence, [append("log", "x")]))).await;
    }
    for sequence in 1..=1_000 {
        assert_eq!(pipeline.answer().await, (sequence, Ok(sequence)));
    }
    drop(pipeline);
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn twenty_thousand_tiny_writes_at_once_are_answered_in_order() {
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    let requests = flood("r", 20_000, &Arc::default());
    let answers = store.client.write_stream(requests).await.expect("opens");
    let mut pipeline = Pipeline { requests: mpsc::channel(1).0, responses: answers.into_inner() };
    for sequence in 1..=20_000 {
        assert_eq!(pipeline.answer().await, (sequence, Ok(sequence)));
    }
    drop(pipeline);
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn streams_whose_answers_nobody_reads_do_no_harm_to_others_on_their_connection() {
    const STREAMS: usize = 8;
    // More than the store takes ahead of its answers, less than the windows of a stream hold.
    const UNREAD: u64 = 3_000;
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    let mut other = pipeline(&mut store.client).await;
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        let sent = Arc::default();
        let answers = store.client.write_stream(flood("r", 100_000, &sent)).await.expect("opens");
        unread.push((sent, answers.into_inner()));
    }
    for (sent, _) in &unread {
        reached(sent, UNREAD).await;
    }
    for sequence in 1..=100 {
        other.send(sequence, Some(write("other", 7, sequence, []))).await;
        let (attempt, result) = other.answer().await;
        assert_eq!((attempt, reason(&result)), (sequence, "OK"));
    }
    for (_, answers) in &mut unread {
        let first = timeout(BOUND, answers.next()).await.expect("answers in time");
        assert_eq!(first.expect("is open").expect("is no status").attempt, 1);
    }
    drop((unread, other));
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn a_stopping_store_ends_open_streams_after_answering_what_it_took() {
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    let mut pipeline = pipeline(&mut store.client).await;
    pipeline.send(1, Some(write("r", 7, 1, [put("k", "v")]))).await;
    assert_eq!(pipeline.answer().await, (1, Ok(1)));
    let Store { stop, served, client, .. } = store;
    drop(client);
    stop.send(()).expect("it runs");
    let end = timeout(BOUND, pipeline.responses.next()).await.expect("ends in time");
    let status = end.expect("says why").expect_err("is the end");
    assert_refused(&status, Code::Unavailable, "SHUTTING_DOWN");
    drop(pipeline);
    timeout(BOUND, served).await.expect("stops").expect("does not panic").expect("in order");
}
