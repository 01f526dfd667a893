//! Names, holders, prefixes, page tokens. A name is taken exactly when its rule says so; pages of a list
//! are what a naive filter of sorted names gives, whatever the prefix and the page token.

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use leasehold_core::{Acquire, Command, LeaseState, Settings};
use leasehold_types::{Holder, LeaseTime, LeaseTtl, RequestId, ResourceName, WaitLimit};

use crate::input::{is_text, value};

const NAMES_MAX: usize = 40;

#[derive(Arbitrary, Debug)]
struct Names<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    page_size: u8,
    names: Vec<&'a str>,
}

/// Text, one name a line, is as good as made-up names: the first line is the prefix.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((mode, body)) if mode % 2 == 0 => {
            let Ok(text) = str::from_utf8(body) else { return };
            let mut lines = text.split('\n');
            let prefix = lines.next().unwrap_or_default();
            list(&Names { prefix, after: None, page_size: 2, names: lines.collect() });
        }
        Some((_, body)) => {
            if let Some(names) = value::<Names<'_>>(body) {
                list(&names);
            }
        }
        None => {}
    }
}

fn list(asked: &Names<'_>) {
    let mut state = LeaseState::new(Settings::default());
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for (at, name) in (0_u128..).zip(asked.names.iter().take(NAMES_MAX)) {
        assert_eq!(Holder::new(name).is_ok(), is_text(name, 0, 256));
        match ResourceName::new(name) {
            Ok(resource) => {
                assert!(is_text(name, 1, 256) && resource.as_str() == *name);
                state.apply(LeaseTime(1), &[acquire(resource, at)]);
                taken.insert(name);
            }
            Err(bad) => assert!(!is_text(name, 1, 256) && bad.field == "resource"),
        }
        let id = name.as_bytes();
        assert_eq!(RequestId::from_slice(id).is_ok(), id.len() == 16);
    }
    let limit = usize::from(asked.page_size).max(1);
    let expected: Vec<&str> = taken
        .iter()
        .copied()
        .filter(|name| {
            name.starts_with(asked.prefix) && asked.after.is_none_or(|after| *name > after)
        })
        .collect();
    assert_eq!(
        page(&state, asked.prefix, asked.after, limit),
        expected[..limit.min(expected.len())]
    );
    assert_eq!(all_pages(&state, asked.prefix, asked.after, limit), expected);
}

fn page(state: &LeaseState, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let found = state.list(prefix, after, limit);
    found.into_iter().map(|view| view.lease.resource.to_string()).collect()
}

fn all_pages(state: &LeaseState, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let after = all.last().map(String::as_str).or(after);
        match page(state, prefix, after, limit) {
            next if next.is_empty() => return all,
            next => all.extend(next),
        }
        assert!(all.len() <= NAMES_MAX, "pages without an end");
    }
}

fn acquire(resource: ResourceName, number: u128) -> Command {
    Command::Acquire(Acquire {
        resource,
        holder: Holder::new("h").expect("a holder"),
        request: RequestId::from_bytes(number.to_le_bytes()),
        ttl: LeaseTtl::MAX,
        wait: WaitLimit::NONE,
    })
}
