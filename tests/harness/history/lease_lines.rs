//! Requests to a lease node as lines of a history.

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{Failure, std_from_duration};
use leasehold_sim::history::record::{
    self, Cancelled, Event, EventKind, Held, Listed, Outcome, Record, Released, Seen, Standing,
    Token,
};

use super::outcome::{failed, map};
use super::{Asks, At};

fn ms(duration: &Option<prost_types::Duration>) -> Option<u64> {
    let duration = duration.unwrap_or_default();
    std_from_duration("", &duration).ok()?.as_millis().try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn of_lease(lease: &pb::Lease, revision: u64) -> Standing {
    Standing {
        token: Token::new(lease.token),
        place: None,
        valid_for_ms: ms(&lease.valid_for),
        revision: Some(revision),
    }
}

pub(super) fn of_claim(claim: &pb::Claim, revision: u64) -> Standing {
    match claim.standing.as_ref().expect("a claim waits or is held") {
        pb::claim::Standing::Lease(lease) => of_lease(lease, revision),
        pb::claim::Standing::Waiting(waiting) => Standing {
            token: None,
            place: Some(waiting.place),
            valid_for_ms: ms(&waiting.valid_for),
            revision: Some(revision),
        },
    }
}

pub(super) fn of_event(client: &str, event: &pb::Event, received_ns: u64) -> Event {
    Event {
        client: client.to_owned(),
        resource: event.resource.clone(),
        request_id: hex(&event.request_id),
        event: match event.kind() {
            pb::EventKind::Granted => EventKind::Granted,
            pb::EventKind::Queued => EventKind::Queued,
            pb::EventKind::Released => EventKind::Released,
            pb::EventKind::Expired => EventKind::Expired,
            pb::EventKind::Unspecified => panic!("an event without a kind: {event:?}"),
        },
        token: Token::new(event.token),
        revision: event.revision,
        received_ns,
    }
}

impl Asks for pb::AcquireRequest {
    type Answer = Standing;
    const METHOD: &'static str = "leasehold.lease.v1.LeaseService/Acquire";

    fn lines(&self, at: &At<'_>, outcome: Outcome<&Standing>) -> Option<Vec<Record>> {
        let line = record::Acquire {
            client: at.client.to_owned(),
            request_id: hex(&self.request_id),
            resource: self.resource.clone(),
            wait_ms: ms(&self.wait)?,
            retried: false,
            invoked_ns: at.invoked_ns,
            answered_ns: at.answered_ns,
            outcome: map(outcome, Clone::clone),
        };
        Some(vec![Record::Acquire(line)])
    }
}

impl Asks for pb::RenewRequest {
    type Answer = pb::RenewResponse;
    const METHOD: &'static str = "leasehold.lease.v1.LeaseService/Renew";

    fn lines(&self, at: &At<'_>, outcome: Outcome<&pb::RenewResponse>) -> Option<Vec<Record>> {
        let tokens = self.tokens.iter().map(|token| Some((Some(Token::new(*token)?), None)));
        let ids = self.request_ids.iter().map(|id| Some((None, Some(hex(id)))));
        let items = tokens.chain(ids).collect::<Option<Vec<_>>>()?;
        let line = |(number, (token, request_id))| {
            Record::Renew(record::Renew {
                client: at.client.to_owned(),
                resource: String::new(),
                token,
                request_id,
                invoked_ns: at.invoked_ns,
                answered_ns: at.answered_ns,
                outcome: match &outcome {
                    Outcome::Ok(answer) => renewed(&answer.results[number], answer.revision),
                    Outcome::Refused(no) => Outcome::Refused(no.clone()),
                    Outcome::Unknown => Outcome::Unknown,
                },
            })
        };
        let lines: Vec<Record> = items.into_iter().enumerate().map(line).collect();
        (!lines.is_empty()).then_some(lines)
    }
}

fn renewed(item: &pb::RenewResult, revision: u64) -> Outcome<Standing> {
    match item.result.as_ref().expect("each item is answered") {
        pb::renew_result::Result::Claim(claim) => Outcome::Ok(of_claim(claim, revision)),
        pb::renew_result::Result::Refused(no) => match failed(&Failure::from(no.clone())) {
            Outcome::Refused(no) => {
                Outcome::Refused(record::Refused { revision: Some(revision), ..no })
            }
            other => other,
        },
    }
}

impl Asks for pb::ReleaseRequest {
    type Answer = pb::ReleaseResponse;
    const METHOD: &'static str = "leasehold.lease.v1.LeaseService/Release";

    fn lines(&self, at: &At<'_>, outcome: Outcome<&pb::ReleaseResponse>) -> Option<Vec<Record>> {
        let line = record::Release {
            client: at.client.to_owned(),
            resource: self.resource.clone(),
            token: Token::new(self.token)?,
            invoked_ns: at.invoked_ns,
            answered_ns: at.answered_ns,
            outcome: map(outcome, |answer| Released {
                was_held: answer.was_held,
                revision: Some(answer.revision),
            }),
        };
        Some(vec![Record::Release(line)])
    }
}

impl Asks for pb::CancelRequest {
    type Answer = pb::CancelResponse;
    const METHOD: &'static str = "leasehold.lease.v1.LeaseService/Cancel";

    fn lines(&self, at: &At<'_>, outcome: Outcome<&pb::CancelResponse>) -> Option<Vec<Record>> {
        let line = record::Cancel {
            client: at.client.to_owned(),
            resource: String::new(),
            request_id: hex(&self.request_id),
            invoked_ns: at.invoked_ns,
            answered_ns: at.answered_ns,
            outcome: map(outcome, |answer| Cancelled {
                was_live: answer.was_live,
                released_token: Token::new(answer.released_token),
                revision: Some(answer.revision),
            }),
        };
        Some(vec![Record::Cancel(line)])
    }
}

impl Asks for pb::GetRequest {
    type Answer = pb::GetResponse;
    const METHOD: &'static str = "leasehold.lease.v1.LeaseService/Get";

    fn lines(&self, at: &At<'_>, outcome: Outcome<&pb::GetResponse>) -> Option<Vec<Record>> {
        let line = record::Get {
            client: at.client.to_owned(),
            resource: self.resource.clone(),
            invoked_ns: at.invoked_ns,
            answered_ns: at.answered_ns,
            outcome: map(outcome, |answer| Seen {
                token: token_of(answer.state.as_ref().expect("always there")),
                revision: Some(answer.revision),
            }),
        };
        Some(vec![Record::Get(line)])
    }
}

impl Asks for pb::ListRequest {
    type Answer = pb::ListResponse;
    const METHOD: &'static str = "leasehold.lease.v1.LeaseService/List";

    fn lines(&self, at: &At<'_>, outcome: Outcome<&pb::ListResponse>) -> Option<Vec<Record>> {
        let held = |state: &pb::ResourceState| {
            let resource = state.resource.clone();
            token_of(state).map(|token| Held { resource, token })
        };
        let line = record::List {
            client: at.client.to_owned(),
            prefix: self.prefix.clone(),
            after: self.page_token.clone(),
            invoked_ns: at.invoked_ns,
            answered_ns: at.answered_ns,
            outcome: map(outcome, |page| Listed {
                resources: page.resources.iter().filter_map(held).collect(),
                more: !page.next_page_token.is_empty(),
                revision: Some(page.revision),
            }),
        };
        Some(vec![Record::List(line)])
    }
}

fn token_of(state: &pb::ResourceState) -> Option<Token> {
    state.lease.as_ref().and_then(|lease| Token::new(lease.token))
}
