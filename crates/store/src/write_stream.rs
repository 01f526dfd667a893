//! The pipelined write stream: taken in order, applied in order, answered in order.
//!
//! Two tasks and a bounded channel between them. The first takes writes from the network and gives
//! each its place in the writer's queue; the second waits for the answers in that order. A slow
//! reader of answers fills the channel, and then nothing more is taken from the network. The client
//! is stopped by the stream's window, and by nothing else: see [`leasehold_api::STREAM_WINDOW_BYTES`].
//!
//! Where a unary write is told `QUEUE_FULL`, a stream waits: were one write of a pipeline refused
//! for want of room and the next one accepted, the first could never be sent again, because its
//! sequence would be stale.

use leasehold_api::pb::store::v1 as pb;
use leasehold_api::pb::store::v1::write_stream_response::Result as Answer;
use leasehold_api::{CheckedWrite, Failure, Problem};
use leasehold_types::{BadField, Fault};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::engine::{Engine, Pending};
use crate::service::written_to_wire;

/// Writes of one stream that are taken and not yet answered.
const IN_FLIGHT_MAX: usize = 256;
/// Answers of one stream that are not yet sent.
const ANSWERS_MAX: usize = 64;

type Answers = mpsc::Sender<Result<pb::WriteStreamResponse, Status>>;

/// A write that was taken: in the queue, or refused before it got there.
struct Taken {
    attempt: u64,
    write: Result<Pending, Problem>,
}

/// Serves one stream. It ends when the client ends it, when the client is gone, and, after everything
/// that was taken is answered, when the store stops.
pub(crate) fn write_stream(
    engine: Engine,
    requests: Streaming<pb::WriteStreamRequest>,
    stopping: watch::Receiver<bool>,
) -> ReceiverStream<Result<pb::WriteStreamResponse, Status>> {
    let (taken, in_flight) = mpsc::channel(IN_FLIGHT_MAX);
    let (answers, stream) = mpsc::channel(ANSWERS_MAX);
    tokio::spawn(answer_all(engine.clone(), in_flight, answers, stopping.clone()));
    tokio::spawn(take_all(engine, requests, taken, stopping));
    ReceiverStream::new(stream)
}

async fn take_all(
    engine: Engine,
    mut requests: Streaming<pb::WriteStreamRequest>,
    taken: mpsc::Sender<Taken>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let request = tokio::select! {
            biased;
            () = stopped(&mut stopping) => return,
            request = requests.next() => request,
        };
        // The end, or a connection that broke: nobody to tell.
        let Some(Ok(pb::WriteStreamRequest { attempt, write })) = request else { return };
        let write = take(&engine, write).await;
        if taken.send(Taken { attempt, write }).await.is_err() {
            return;
        }
    }
}

async fn take(engine: &Engine, write: Option<pb::WriteRequest>) -> Result<Pending, Problem> {
    let write = write.ok_or_else(|| BadField::new("write", "nothing", "a write"))?;
    let write = CheckedWrite::try_from(write).map_err(|bad| bad.inside("write"))?;
    Ok(engine.enqueue(write).await?)
}

async fn answer_all(
    engine: Engine,
    mut in_flight: mpsc::Receiver<Taken>,
    answers: Answers,
    stopping: watch::Receiver<bool>,
) {
    while let Some(Taken { attempt, write }) = in_flight.recv().await {
        let result = match write {
            Ok(pending) => engine.outcome(pending).await,
            Err(problem) => Err(problem),
        };
        let result = match result {
            Ok(written) => Answer::Written(written_to_wire(written)),
            Err(problem) => Answer::Failed(Failure::from(&problem).into()),
        };
        let response = pb::WriteStreamResponse { attempt, result: Some(result) };
        if answers.send(Ok(response)).await.is_err() {
            return;
        }
    }
    if *stopping.borrow() {
        // Whether anybody still listens makes no difference.
        let _gone = answers.send(Err(Problem::from(Fault::ShuttingDown).into())).await;
    }
}

/// Completes once the store stops, or its server is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _server_gone = stopping.wait_for(|stopping| *stopping).await;
}
