//! What comes back, and the line it makes.

use leasehold_sim::history::record::{
    Acquire, Cancel, Cancelled, Found, Get, List, Listed, Outcome, Read, Record, Refused, Release,
    Released, Renew, Seen, Standing, Token, Write, Written,
};

use super::{Ask, Call};

#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing came in time.
    None,
    Refused(Refused),
    Standing(Standing),
    Released(Released),
    Cancelled(Cancelled),
    Seen(Seen),
    Listed(Listed),
    Written(Written),
    Found(Found),
}

pub fn token(value: u64) -> Token {
    Token::new(value).expect("not 0")
}

pub fn request_name(request: u64) -> String {
    format!("{request:032x}")
}

macro_rules! outcome {
    ($answer:expr, $variant:ident) => {
        match $answer {
            Answer::$variant(ok) => Outcome::Ok(ok.clone()),
            Answer::Refused(refused) => Outcome::Refused(refused.clone()),
            _ => Outcome::Unknown,
        }
    };
}

pub fn line(call: &Call, now: u64, answer: &Answer) -> Record {
    let client = format!("c{}", call.client);
    let (invoked_ns, answered_ns) = (call.invoked_ns, Some(now));
    match call.ask.clone() {
        Ask::Acquire { request, resource, wait_ms, .. } => Record::Acquire(Acquire {
            client,
            request_id: request_name(request),
            resource,
            wait_ms,
            retried: false,
            invoked_ns,
            answered_ns,
            outcome: outcome!(answer, Standing),
        }),
        Ask::RenewToken { resource, token: value } => Record::Renew(Renew {
            client,
            resource,
            token: Some(token(value)),
            request_id: None,
            invoked_ns,
            answered_ns,
            outcome: outcome!(answer, Standing),
        }),
        Ask::Release { resource, token: value } => Record::Release(Release {
            client,
            resource,
            token: token(value),
            invoked_ns,
            answered_ns,
            outcome: outcome!(answer, Released),
        }),
        Ask::Cancel { resource, request } => Record::Cancel(Cancel {
            client,
            resource,
            request_id: request_name(request),
            invoked_ns,
            answered_ns,
            outcome: outcome!(answer, Cancelled),
        }),
        Ask::Get { resource } => Record::Get(Get {
            client,
            resource,
            invoked_ns,
            answered_ns,
            outcome: outcome!(answer, Seen),
        }),
        Ask::List => Record::List(List {
            client,
            prefix: "r".into(),
            after: String::new(),
            invoked_ns,
            answered_ns,
            outcome: outcome!(answer, Listed),
        }),
        Ask::Write(write) => Record::Write(Write {
            client,
            store: String::new(),
            resource: write.resource,
            token: token(write.token),
            sequence: write.sequence,
            mutations: vec![write.mutation],
            invoked_ns,
            answered_ns,
            outcome: outcome!(answer, Written),
        }),
        Ask::Read { resource, key, token: value } => Record::Read(Read {
            client,
            store: String::new(),
            resource,
            key: key.into(),
            token: value.map(token),
            invoked_ns,
            answered_ns,
            outcome: outcome!(answer, Found),
        }),
    }
}
