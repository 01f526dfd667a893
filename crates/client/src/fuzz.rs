//! A door for `fuzz/`: what a client makes of the messages of its stream. Behind the feature `fuzz`;
//! not part of the library.
#![allow(missing_docs, reason = "for one caller, where each is explained")]

use std::time::Duration;

use leasehold_api::pb::lease::v1 as pb;
use leasehold_types::{BadField, RequestId};

use crate::message::{Answer, Command};
use crate::wire;

/// What a node says on a Session stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Answered(u64, Answer),
    Pushed(RequestId),
    Welcome { leader_id: Option<u64>, request_memory: Duration },
}

pub fn said(response: pb::SessionResponse) -> Result<Said, BadField> {
    Ok(match wire::said(response)? {
        wire::Said::Answered(attempt, answer) => Said::Answered(attempt, answer),
        wire::Said::Pushed(request) => Said::Pushed(request),
        wire::Said::Welcome(wire::Welcome { leader_id, request_memory, .. }) => {
            Said::Welcome { leader_id, request_memory }
        }
    })
}

pub fn request(attempt: u64, command: Command) -> pb::SessionRequest {
    wire::request(attempt, command)
}
