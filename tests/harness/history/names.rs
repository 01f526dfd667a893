//! Which resource a claim is of, for the calls that name only its token or its request id.

use std::collections::HashMap;

use leasehold_sim::history::record::{Record, Token};

#[derive(Default)]
pub(super) struct Names {
    by_request: HashMap<String, String>,
    by_token: HashMap<Token, String>,
}

impl Names {
    /// Takes from a line what it tells of names.
    pub(super) fn learn(&mut self, line: &Record) {
        let (request, token, resource) = match line {
            Record::Acquire(call) => {
                let token = match (call.outcome.ok(), call.outcome.refused()) {
                    (Some(claim), _) => claim.token,
                    (_, Some(no)) => no.held_token,
                    _ => None,
                };
                (Some(&call.request_id), token, &call.resource)
            }
            Record::Renew(call) => {
                let token = call.outcome.ok().and_then(|claim| claim.token);
                (call.request_id.as_ref(), token, &call.resource)
            }
            Record::Get(call) => {
                (None, call.outcome.ok().and_then(|seen| seen.token), &call.resource)
            }
            Record::Event(event) => (Some(&event.request_id), event.token, &event.resource),
            _ => return,
        };
        if resource.is_empty() {
            return;
        }
        if let Some(request) = request {
            self.by_request.insert(request.clone(), resource.clone());
        }
        if let Some(token) = token {
            self.by_token.insert(token, resource.clone());
        }
    }

    /// Gives a line its resource; false where nobody has told it yet.
    pub(super) fn complete(&self, line: &mut Record) -> bool {
        let (resource, known) = match line {
            Record::Renew(call) => {
                let by_request = call.request_id.as_ref().and_then(|id| self.by_request.get(id));
                let by_token = call.token.and_then(|token| self.by_token.get(&token));
                (&mut call.resource, by_request.or(by_token))
            }
            Record::Cancel(call) => {
                (&mut call.resource, self.by_request.get(call.request_id.as_str()))
            }
            _ => return true,
        };
        if resource.is_empty() {
            resource.clone_from(known.unwrap_or(&String::new()));
        }
        !resource.is_empty()
    }
}
