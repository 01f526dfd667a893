//! Every request to the lease server: accepted exactly when a naive reading of the rules accepts it,
//! refused by the name of a field that is wrong, and the same again once it was checked, sent and read.

use std::fmt::Debug;

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::session_request::Command as Wire;
use leasehold_api::{CheckedList, CheckedRelease, CheckedWatch, RENEW_ITEMS_MAX};
use leasehold_client::fuzz::request;
use leasehold_client::message::Command;
use leasehold_types::{Acquire, BadField, FencingToken, Renew, RequestId, ResourceName, Revision};
use prost::Message;

use crate::input::is_text;

const DAY_MS: i128 = 86_400_000;

/// The first byte says which request the others are.
pub fn check(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    match kind % 7 {
        0 => read(body, acquire),
        1 => read(body, renew),
        2 => read(body, release),
        3 => read(body, cancel),
        4 => read(body, get),
        5 => read(body, list),
        _ => read(body, watch),
    }
}

/// Reads a message, and sees that it survives being written.
pub(crate) fn read<M: Message + Default + PartialEq + Debug>(body: &[u8], then: impl FnOnce(M)) {
    let Ok(message) = M::decode(body) else { return };
    let again = M::decode(&message.encode_to_vec()[..]).expect("what was written can be read");
    assert_eq!(again, message);
    then(message);
}

/// Accepted if and only if nothing is wrong; refused by the name of what is.
pub(crate) fn judge<T>(checked: Result<T, BadField>, wrong: &[String]) -> Option<T> {
    match checked {
        Ok(checked) => {
            assert!(wrong.is_empty(), "accepted in spite of {wrong:?}");
            Some(checked)
        }
        Err(bad) => {
            assert!(wrong.contains(&bad.field.to_string()), "{bad}, but wrong are {wrong:?}");
            None
        }
    }
}

/// The names of those that are wrong.
pub(crate) fn wrong<const N: usize>(fields: [(&str, bool); N]) -> Vec<String> {
    let wrong = fields.into_iter().filter(|(_, good)| !good);
    wrong.map(|(name, _)| name.to_owned()).collect()
}

fn nanoseconds(raw: &prost_types::Duration) -> Option<i128> {
    let good = raw.seconds >= 0 && (0..1_000_000_000).contains(&raw.nanos);
    good.then(|| i128::from(raw.seconds) * 1_000_000_000 + i128::from(raw.nanos))
}

fn is_ttl(raw: Option<&prost_types::Duration>) -> bool {
    let ns = raw.and_then(nanoseconds);
    ns.is_some_and(|ns| (1..=DAY_MS).contains(&(ns / 1_000_000)))
}

fn is_wait(raw: Option<&prost_types::Duration>) -> bool {
    raw.is_none_or(|raw| nanoseconds(raw).is_some_and(|ns| ns <= DAY_MS * 1_000_000))
}

pub(crate) fn wrong_in_acquire(raw: &pb::AcquireRequest) -> Vec<String> {
    wrong([
        ("resource", is_text(&raw.resource, 1, 256)),
        ("holder", is_text(&raw.holder, 0, 256)),
        ("request_id", raw.request_id.len() == 16),
        ("ttl", is_ttl(raw.ttl.as_ref())),
        ("wait", is_wait(raw.wait.as_ref())),
    ])
}

fn acquire(raw: pb::AcquireRequest) {
    let wrong = wrong_in_acquire(&raw);
    let Some(checked) = judge(Acquire::try_from(raw.clone()), &wrong) else { return };
    assert_eq!(checked.resource.as_str(), raw.resource);
    assert!(
        !raw.wait
            .is_some_and(|wait| wait.seconds + i64::from(wait.nanos) > 0 && checked.wait.is_none())
    );
    let sent = request(1, Command::Acquire(checked.clone()));
    let Some(Wire::Acquire(sent)) = sent.command else { panic!("another command") };
    assert_eq!(Acquire::try_from(sent), Ok(checked));
}

fn renew(raw: pb::RenewRequest) {
    let count = raw.tokens.len() + raw.request_ids.len();
    let mut wrong = Vec::new();
    if !(1..=RENEW_ITEMS_MAX).contains(&count) {
        wrong.push("tokens".to_owned());
    }
    let zero = raw.tokens.iter().enumerate().filter(|(_, token)| **token == 0);
    wrong.extend(zero.map(|(at, _)| format!("tokens[{at}]")));
    let short = raw.request_ids.iter().enumerate().filter(|(_, id)| id.len() != 16);
    wrong.extend(short.map(|(at, _)| format!("request_ids[{at}]")));
    let Some(checked) = judge(Renew::try_from(raw.clone()), &wrong) else { return };
    let tokens = checked.tokens.iter().map(|token| token.get()).collect();
    let ids = checked.requests.iter().map(|id| id.as_bytes().to_vec().into()).collect();
    assert_eq!(pb::RenewRequest { tokens, request_ids: ids }, raw);
}

fn release(raw: pb::ReleaseRequest) {
    let wrong = wrong([("resource", is_text(&raw.resource, 1, 256)), ("token", raw.token != 0)]);
    let Some(checked) = judge(CheckedRelease::try_from(raw.clone()), &wrong) else { return };
    let CheckedRelease { resource, token } = checked;
    let back = pb::ReleaseRequest { resource: resource.to_string(), token: token.get() };
    assert_eq!(back, raw);
    assert_eq!(FencingToken::new(raw.token), Some(token));
}

fn cancel(raw: pb::CancelRequest) {
    let wrong = wrong([("request_id", raw.request_id.len() == 16)]);
    let Some(id) = judge(RequestId::try_from(raw.clone()), &wrong) else { return };
    assert_eq!(id.as_bytes()[..], raw.request_id[..]);
}

fn get(raw: pb::GetRequest) {
    let wrong = wrong([("resource", is_text(&raw.resource, 1, 256))]);
    let Some(name) = judge(ResourceName::try_from(raw.clone()), &wrong) else { return };
    assert_eq!(name.as_str(), raw.resource);
}

fn list(raw: pb::ListRequest) {
    let wrong = wrong([
        ("prefix", raw.prefix.len() <= 256),
        ("page_size", raw.page_size <= 1_000),
        ("page_token", raw.page_token.is_empty() || is_text(&raw.page_token, 1, 256)),
    ]);
    let Some(checked) = judge(CheckedList::try_from(raw.clone()), &wrong) else { return };
    let page_size = if raw.page_size == 0 { 100 } else { raw.page_size as usize };
    assert_eq!((checked.prefix.as_str(), checked.page_size), (raw.prefix.as_str(), page_size));
    let after = checked.after.as_ref().map_or("", |name| name.as_str());
    assert_eq!(after, raw.page_token);
}

fn watch(raw: pb::WatchRequest) {
    let wrong = wrong([("prefix", raw.prefix.len() <= 256)]);
    let Some(checked) = judge(CheckedWatch::try_from(raw.clone()), &wrong) else { return };
    assert_eq!(
        checked,
        CheckedWatch { prefix: raw.prefix, after: raw.after_revision.map(Revision) }
    );
}
