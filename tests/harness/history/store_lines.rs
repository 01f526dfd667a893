//! Requests to a store as lines of a history.

use leasehold_api::pb::store::v1 as pb;
use leasehold_sim::history::record::{
    self, Entry, Found, Mutation, Outcome, Record, Token, Written,
};

use super::outcome::map;
use super::{Asks, At};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn mutation(mutation: &pb::Mutation) -> Option<Mutation> {
    use pb::mutation::Operation;
    Some(match mutation.operation.as_ref()? {
        Operation::Put(pb::Put { key, value }) => {
            Mutation::Put { key: key.clone(), value: text(value) }
        }
        Operation::Append(pb::Append { key, value }) => {
            Mutation::Append { key: key.clone(), value: text(value) }
        }
        Operation::Delete(pb::Delete { key }) => Mutation::Delete { key: key.clone() },
    })
}

fn found(entry: &pb::Entry) -> Entry {
    let token = Token::new(entry.token).expect("what is stored bears its token");
    Entry { value: text(&entry.value), version: entry.version, token }
}

/// `None` is no token; `Some(None)` cannot be said.
fn presented(token: Option<u64>) -> Option<Option<Token>> {
    token.map_or(Some(None), |token| Token::new(token).map(Some))
}

impl Asks for pb::WriteRequest {
    type Answer = pb::WriteResponse;
    const METHOD: &'static str = "leasehold.store.v1.StoreService/Write";

    fn lines(&self, at: &At<'_>, outcome: Outcome<&pb::WriteResponse>) -> Option<Vec<Record>> {
        let line = record::Write {
            client: at.client.to_owned(),
            store: String::new(),
            resource: self.resource.clone(),
            token: Token::new(self.token)?,
            sequence: self.sequence,
            mutations: self.mutations.iter().map(mutation).collect::<Option<_>>()?,
            invoked_ns: at.invoked_ns,
            answered_ns: at.answered_ns,
            outcome: map(outcome, |answer| Written { revision: answer.revision }),
        };
        Some(vec![Record::Write(line)])
    }
}

impl Asks for pb::GetRequest {
    type Answer = pb::GetResponse;
    const METHOD: &'static str = "leasehold.store.v1.StoreService/Get";

    fn lines(&self, at: &At<'_>, outcome: Outcome<&pb::GetResponse>) -> Option<Vec<Record>> {
        let line = record::Read {
            client: at.client.to_owned(),
            store: String::new(),
            resource: self.resource.clone(),
            key: self.key.clone(),
            token: presented(self.token)?,
            invoked_ns: at.invoked_ns,
            answered_ns: at.answered_ns,
            outcome: map(outcome, |answer| Found { entry: answer.entry.as_ref().map(found) }),
        };
        Some(vec![Record::Read(line)])
    }
}

impl Asks for pb::ListRequest {
    type Answer = pb::ListResponse;
    const METHOD: &'static str = "leasehold.store.v1.StoreService/List";

    /// One line an entry, and one of the key that no entry has, so that an empty page is a line too.
    fn lines(&self, at: &At<'_>, outcome: Outcome<&pb::ListResponse>) -> Option<Vec<Record>> {
        let token = presented(self.token)?;
        let line = |key: &str, outcome| {
            Record::Read(record::Read {
                client: at.client.to_owned(),
                store: String::new(),
                resource: self.resource.clone(),
                key: key.to_owned(),
                token,
                invoked_ns: at.invoked_ns,
                answered_ns: at.answered_ns,
                outcome,
            })
        };
        let entries = outcome.ok().map_or(&[][..], |page| &page.entries);
        let entries = entries
            .iter()
            .map(|entry| line(&entry.key, Outcome::Ok(Found { entry: Some(found(entry)) })));
        let mut lines: Vec<Record> = entries.collect();
        lines.push(line("", map(outcome, |_| Found { entry: None })));
        Some(lines)
    }
}
