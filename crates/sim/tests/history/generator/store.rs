//! A fenced store in memory, around the real rule.

use std::collections::BTreeMap;

use leasehold_fence::{Admitted, Mark, Stale};
use leasehold_sim::history::record::{
    Entry, Found, Mutation, Record, Refused, Token, Total, Written,
};
use leasehold_types::FencingToken;

use super::Ask;
use super::answers::{Answer, token};

/// The key that keeps the names of increments; never deleted.
pub const COUNTER: &str = "ids";

#[derive(Clone, Debug)]
pub struct Write {
    pub resource: String,
    pub token: u64,
    pub sequence: u64,
    pub mutation: Mutation,
}

#[derive(Default)]
pub struct Store {
    revision: u64,
    resources: BTreeMap<String, Resource>,
}

#[derive(Default)]
struct Resource {
    mark: Mark,
    answer: u64,
    keys: BTreeMap<String, Entry>,
}

impl Store {
    pub fn answer(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::Write(write) => self.write(write),
            Ask::Read { resource, key, token } => self.read(resource, key, *token),
            _ => unreachable!("asked of the lease cluster"),
        }
    }

    fn write(&mut self, write: &Write) -> Answer {
        let resource = self.resources.entry(write.resource.clone()).or_default();
        match resource.mark.admit(fencing(write.token), write.sequence) {
            Err(stale) => refused(&stale),
            Ok(Admitted::Repeat) => Answer::Written(Written { revision: resource.answer }),
            Ok(Admitted::Accept(mark)) => {
                self.revision += 1;
                (resource.mark, resource.answer) = (mark, self.revision);
                resource.change(&write.mutation, self.revision, token(write.token));
                Answer::Written(Written { revision: self.revision })
            }
        }
    }

    fn read(&mut self, resource: &str, key: &str, presented: Option<u64>) -> Answer {
        let resource = self.resources.entry(resource.to_owned()).or_default();
        if let Some(presented) = presented {
            match resource.mark.raise(fencing(presented)) {
                Err(stale) => return refused(&stale),
                Ok(mark) => resource.mark = mark,
            }
        }
        Answer::Found(Found { entry: resource.keys.get(key).cloned() })
    }

    pub fn totals(&self) -> Vec<Record> {
        let total = |(name, resource): (&String, &Resource)| {
            let value = resource.keys.get(COUNTER).map_or("", |entry| entry.value.as_str());
            let ids: Vec<String> = value.split_terminator(';').map(str::to_owned).collect();
            let (counter, value) = (name.clone(), ids.len() as u64);
            Record::Total(Total { counter, value, ids: Some(ids) })
        };
        self.resources.iter().map(total).collect()
    }
}

impl Resource {
    fn change(&mut self, mutation: &Mutation, version: u64, token: Token) {
        let key = mutation.key().to_owned();
        let value = match mutation {
            Mutation::Delete { .. } => {
                self.keys.remove(&key);
                return;
            }
            Mutation::Put { value, .. } => value.clone(),
            Mutation::Append { value, .. } => {
                let before = self.keys.get(&key).map_or("", |entry| entry.value.as_str());
                format!("{before}{value}")
            }
        };
        self.keys.insert(key, Entry { value, version, token });
    }
}

fn fencing(value: u64) -> FencingToken {
    FencingToken::new(value).expect("not 0")
}

fn refused(stale: &Stale) -> Answer {
    let (reason, mark) = match stale {
        Stale::Token { mark, .. } => ("STALE_TOKEN", *mark),
        Stale::Sequence { mark, .. } => ("STALE_SEQUENCE", *mark),
        Stale::BelowFloor { .. } => unreachable!("there is no floor"),
    };
    Answer::Refused(Refused {
        mark_token: mark.token().map(Into::into),
        mark_sequence: Some(mark.sequence()),
        ..Refused::because(reason)
    })
}
