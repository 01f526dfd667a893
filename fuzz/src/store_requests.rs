//! Every request to the store: accepted exactly when a naive reading of the rules accepts it, refused by
//! the name of a field that is wrong, and nothing lost on the way.

use leasehold_api::pb::store::v1 as pb;
use leasehold_api::pb::store::v1::mutation::Operation;
use leasehold_api::{
    CheckedMutation, CheckedStoreGet, CheckedStoreList, CheckedWrite, MutationKind, WRITE_BYTES_MAX,
};

use crate::input::is_text;
use crate::lease_requests::{judge, read, wrong};

/// The first byte says which request the others are.
pub fn check(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => read(body, write),
        1 => read(body, get),
        2 => read(body, list),
        _ => read(body, |raw: pb::WriteStreamRequest| write(raw.write.unwrap_or_default())),
    }
}

fn parts(mutation: &pb::Mutation) -> Option<(&str, &[u8])> {
    Some(match mutation.operation.as_ref()? {
        Operation::Put(put) => (&put.key, &put.value),
        Operation::Append(append) => (&append.key, &append.value),
        Operation::Delete(delete) => (&delete.key, &[]),
    })
}

fn wrong_in_mutations(mutations: &[pb::Mutation]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut bytes = 0;
    for (at, mutation) in mutations.iter().enumerate() {
        let Some((key, value)) = parts(mutation) else {
            wrong.push(format!("mutations[{at}].operation"));
            continue;
        };
        bytes += key.len() + value.len();
        if !is_text(key, 1, 1_024) {
            wrong.push(format!("mutations[{at}].key"));
        }
        if value.len() > 1 << 20 {
            wrong.push(format!("mutations[{at}].value"));
        }
    }
    if mutations.len() > 1_000 || bytes > WRITE_BYTES_MAX {
        wrong.push("mutations".to_owned());
    }
    wrong
}

fn write(raw: pb::WriteRequest) {
    let mut bad = wrong([
        ("resource", is_text(&raw.resource, 1, 256)),
        ("token", raw.token != 0),
        ("cluster_id", raw.cluster_id.len() <= 256),
    ]);
    bad.extend(wrong_in_mutations(&raw.mutations));
    let Some(checked) = judge(CheckedWrite::try_from(raw.clone()), &bad) else { return };
    assert_eq!(to_wire(checked), raw);
}

/// As a client sends it.
pub(crate) fn to_wire(checked: CheckedWrite) -> pb::WriteRequest {
    let CheckedWrite { resource, token, sequence, mutations, cluster_id } = checked;
    let mutation = |CheckedMutation { key, expected_version, kind }: CheckedMutation| {
        let operation = match kind {
            MutationKind::Put(value) => Operation::Put(pb::Put { key, value }),
            MutationKind::Append(value) => Operation::Append(pb::Append { key, value }),
            MutationKind::Delete => Operation::Delete(pb::Delete { key }),
        };
        pb::Mutation { operation: Some(operation), expected_version }
    };
    pb::WriteRequest {
        resource: resource.to_string(),
        token: token.get(),
        sequence,
        mutations: mutations.into_iter().map(mutation).collect(),
        cluster_id: cluster_id.unwrap_or_default(),
    }
}

fn get(raw: pb::GetRequest) {
    let bad = wrong([
        ("resource", is_text(&raw.resource, 1, 256)),
        ("key", is_text(&raw.key, 1, 1_024)),
        ("token", raw.token != Some(0)),
        ("cluster_id", raw.cluster_id.len() <= 256),
    ]);
    let Some(checked) = judge(CheckedStoreGet::try_from(raw.clone()), &bad) else { return };
    let back = pb::GetRequest {
        resource: checked.resource.to_string(),
        key: checked.key,
        token: checked.token.map(|token| token.get()),
        cluster_id: checked.cluster_id.unwrap_or_default(),
    };
    assert_eq!(back, raw);
}

fn list(raw: pb::ListRequest) {
    let bad = wrong([
        ("resource", is_text(&raw.resource, 1, 256)),
        ("prefix", raw.prefix.len() <= 1_024),
        ("page_size", raw.page_size <= 1_000),
        ("page_token", raw.page_token.is_empty() || is_text(&raw.page_token, 1, 1_024)),
        ("token", raw.token != Some(0)),
        ("cluster_id", raw.cluster_id.len() <= 256),
    ]);
    let Some(checked) = judge(CheckedStoreList::try_from(raw.clone()), &bad) else { return };
    let asked = if raw.page_size == 0 { 100 } else { raw.page_size };
    let back = pb::ListRequest {
        resource: checked.resource.to_string(),
        prefix: checked.prefix,
        page_size: u32::try_from(checked.page_size).expect("at most 1,000"),
        page_token: checked.after.unwrap_or_default(),
        token: checked.token.map(|token| token.get()),
        cluster_id: checked.cluster_id.unwrap_or_default(),
    };
    assert_eq!(back, pb::ListRequest { page_size: asked, ..raw });
}
