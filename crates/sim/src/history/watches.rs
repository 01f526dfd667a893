//! What watches saw, put together: each event once, and where nothing can have been missed.

use std::collections::BTreeMap;

use super::History;
use super::record::{Event, Record, Watched};

/// An event and its line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenEvent<'a> {
    pub(crate) line: usize,
    pub(crate) event: &'a Event,
}

/// A stretch of revisions in which every event of a resource was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) after: u64,
    pub(crate) through: u64,
}

impl Stretch {
    pub(crate) fn has(self, revision: u64) -> bool {
        self.after < revision && revision <= self.through
    }
}

/// All watches of a history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watches<'a> {
    /// By resource and revision.
    events: BTreeMap<&'a str, BTreeMap<u64, SeenEvent<'a>>>,
    /// Two events with one revision.
    pub(crate) clashes: Vec<(SeenEvent<'a>, SeenEvent<'a>)>,
    watched: Vec<&'a Watched>,
}

impl<'a> Watches<'a> {
    pub(crate) fn of(history: &'a History) -> Self {
        let mut watches = Self::default();
        let mut by_revision: BTreeMap<u64, SeenEvent<'_>> = BTreeMap::new();
        for line in &history.lines {
            match &line.record {
                Record::Event(event) => {
                    let seen = SeenEvent { line: line.number, event };
                    let first = *by_revision.entry(event.revision).or_insert(seen);
                    if !is_same(first.event, event) {
                        watches.clashes.push((first, seen));
                    }
                    let events = watches.events.entry(event.resource.as_str()).or_default();
                    events.entry(event.revision).or_insert(seen);
                }
                Record::Watched(watched) => watches.watched.push(watched),
                _ => {}
            }
        }
        watches.watched.sort_by_key(|watched| watched.after_revision);
        watches
    }

    /// Where everything about a resource was delivered, in order, not touching each other.
    pub(crate) fn stretches(&self, resource: &str) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for watched in self.watched.iter().filter(|watched| resource.starts_with(&watched.prefix)) {
            let (after, through) = (watched.after_revision, watched.through_revision);
            match stretches.last_mut() {
                Some(last) if after <= last.through => last.through = last.through.max(through),
                _ => stretches.push(Stretch { after, through }),
            }
        }
        stretches
    }

    /// The resources of which there are events.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.events.keys().copied()
    }

    /// A resource's events in a stretch, in order of revision.
    pub(crate) fn events_in(
        &self,
        resource: &str,
        stretch: Stretch,
    ) -> impl Iterator<Item = SeenEvent<'a>> + '_ {
        let Stretch { after, through } = stretch;
        let range = move |events: &'_ BTreeMap<u64, SeenEvent<'a>>| {
            let within = events.range(after..=through);
            within.filter(move |(revision, _)| **revision > after).map(|(_, seen)| *seen).collect()
        };
        self.events.get(resource).map_or_else(Vec::new, range).into_iter()
    }
}

fn is_same(one: &Event, other: &Event) -> bool {
    let facts = |event: &Event| {
        (event.event, event.token, event.resource.clone(), event.request_id.clone())
    };
    facts(one) == facts(other)
}
