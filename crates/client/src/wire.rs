//! Between checked words and the Session stream's messages.

use std::time::Duration;

use bytes::Bytes;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{Failure, Problem, answer_from_claim, duration_from_ms, std_from_duration};
use leasehold_types::{Acquire, BadField, RequestId};

use crate::message::{Answer, Command};

/// What a node says on a Session stream.
#[derive(Debug)]
pub(crate) enum Said {
    Answered(u64, Answer),
    Pushed(RequestId),
    Welcome(Welcome),
}

/// What a client should know of the node and the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) cluster_id: String,
    pub(crate) node_id: u64,
    pub(crate) leader_id: Option<u64>,
    pub(crate) leader_address: Option<String>,
    pub(crate) request_memory: Duration,
}

pub(crate) fn request(attempt: u64, command: Command) -> pb::SessionRequest {
    use pb::session_request::Command as Wire;
    let command = match command {
        Command::Acquire(ask) => Wire::Acquire(acquire(&ask)),
        Command::Renew(requests) => Wire::Renew(pb::RenewRequest {
            tokens: Vec::new(),
            request_ids: requests.iter().map(|request| id(*request)).collect(),
        }),
        Command::Release { resource, token } => {
            Wire::Release(pb::ReleaseRequest { resource: resource.to_string(), token: token.get() })
        }
        Command::Cancel(request) => Wire::Cancel(pb::CancelRequest { request_id: id(request) }),
    };
    pb::SessionRequest { attempt, command: Some(command) }
}

fn acquire(ask: &Acquire) -> pb::AcquireRequest {
    pb::AcquireRequest {
        resource: ask.resource.to_string(),
        holder: ask.holder.to_string(),
        request_id: id(ask.request),
        ttl: Some(duration_from_ms(ask.ttl.as_ms())),
        wait: (!ask.wait.is_none()).then(|| duration_from_ms(ask.wait.as_ms())),
    }
}

fn id(request: RequestId) -> Bytes {
    Bytes::copy_from_slice(request.as_bytes())
}

/// Reads one message.
///
/// # Errors
/// [`BadField`] for what a server of ours would not have sent.
pub(crate) fn said(response: pb::SessionResponse) -> Result<Said, BadField> {
    use pb::session_response::Message;
    let nothing = || BadField::new("message", "nothing", "an answer, a welcome or a push");
    let answer = match response.message.ok_or_else(nothing)? {
        Message::Welcome(raw) => return Ok(Said::Welcome(welcome(raw)?)),
        Message::Pushed(event) => {
            return Ok(Said::Pushed(RequestId::from_slice(&event.request_id)?));
        }
        Message::Acquired(raw) => {
            Answer::Acquired(answer_from_claim(&raw.claim.unwrap_or_default())?)
        }
        Message::Renewed(raw) => {
            Answer::Renewed(raw.results.into_iter().map(renewed).collect::<Result<_, _>>()?)
        }
        Message::Released(raw) => Answer::Released { was_held: raw.was_held },
        Message::Cancelled(raw) => Answer::Cancelled { was_live: raw.was_live },
        Message::Failed(raw) => {
            let failure = Failure::from(raw);
            Answer::Failed { problem: failure.problem(), retry_after: failure.retry_after }
        }
    };
    Ok(Said::Answered(response.attempt, answer))
}

fn renewed(
    raw: pb::RenewResult,
) -> Result<Result<leasehold_types::ClaimAnswer, Problem>, BadField> {
    match raw.result {
        Some(pb::renew_result::Result::Claim(claim)) => Ok(Ok(answer_from_claim(&claim)?)),
        Some(pb::renew_result::Result::Refused(raw)) => Ok(Err(Failure::from(raw).problem())),
        None => Err(BadField::new("result", "nothing", "a claim or a refusal")),
    }
}

fn welcome(raw: pb::SessionWelcome) -> Result<Welcome, BadField> {
    let pb::SessionWelcome { cluster_id, node_id, leader_id, leader_address, request_memory } = raw;
    let memory = request_memory
        .ok_or_else(|| BadField::new("request_memory", "nothing", "a duration"))
        .and_then(|raw| std_from_duration("request_memory", &raw))?;
    Ok(Welcome {
        cluster_id,
        node_id,
        leader_id: (leader_id != 0).then_some(leader_id),
        leader_address: (!leader_address.is_empty()).then_some(leader_address),
        request_memory: memory,
    })
}
