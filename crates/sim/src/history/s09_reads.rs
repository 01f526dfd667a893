//! S9: a read tells what was current at the revision it names. That this revision was current while
//! the read was under way is for the order of revisions to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::evidence::Evidence;
use super::lives::Lives;
use super::record::{EventKind, List, Listed, Record, Token};
use super::report::{Property, Violation};
use super::watches::{SeenEvent, Stretch};

/// What one read says of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct View {
    revision: u64,
    token: Option<Token>,
    line: usize,
}

/// Reads against leases, against what watches saw, and against each other.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (resource, mut views) in views(evidence) {
        views.sort_unstable();
        if let Some(lives) = evidence.lives.get(resource) {
            against_leases(resource, lives, &views, &mut violations);
        }
        for stretch in evidence.watches.stretches(resource) {
            against_events(evidence, resource, stretch, &views, &mut violations);
        }
        against_each_other(resource, &views, &mut violations);
    }
    violations
}

fn violation(lines: &[usize], story: String) -> Violation {
    Violation::new(Property::S9Reads, lines, story)
}

fn views<'a>(evidence: &Evidence<'a>) -> BTreeMap<&'a str, Vec<View>> {
    let mut views: BTreeMap<&str, Vec<View>> = BTreeMap::new();
    for line in &evidence.history.lines {
        let number = line.number;
        let mut view = |resource, token, revision| {
            let view = View { revision, token, line: number };
            views.entry(resource).or_default().push(view);
        };
        match &line.record {
            Record::Get(call) => {
                if let Some(seen) = call.outcome.ok()
                    && let Some(revision) = seen.revision
                {
                    view(call.resource.as_str(), seen.token, revision);
                }
            }
            Record::List(call) => {
                let Some(page) = call.outcome.ok() else { continue };
                let Some(revision) = page.revision else { continue };
                for held in &page.resources {
                    view(held.resource.as_str(), Some(held.token), revision);
                }
                for resource in listed_free(evidence, call, page) {
                    view(resource, None, revision);
                }
            }
            _ => {}
        }
    }
    views
}

/// The resources that a page covers and does not have.
fn listed_free<'a>(evidence: &Evidence<'a>, call: &List, page: &Listed) -> Vec<&'a str> {
    let held: BTreeSet<&str> = page.resources.iter().map(|held| held.resource.as_str()).collect();
    let last = held.last().copied();
    let is_covered = |resource: &str| !page.more || last.is_some_and(|last| resource <= last);
    let start = call.prefix.as_str().max(call.after.as_str());
    let from_start = evidence.lives.range::<str, _>((Bound::Included(start), Bound::Unbounded));
    let names = from_start.map(|(resource, _)| *resource);
    let asked = names.take_while(|name| name.starts_with(&call.prefix) && is_covered(name));
    asked.filter(|name| *name > call.after.as_str() && !held.contains(name)).collect()
}

/// The leases of a resource lie one behind the other, in the order of their tokens, so for each view
/// there is one lease that it can have missed: the last that was live at or before its revision.
fn against_leases(resource: &str, lives: &Lives, views: &[View], violations: &mut Vec<Violation>) {
    let leases: Vec<_> =
        lives.iter().filter_map(|(t, n)| Some((t, *n.life, n.life.live?))).collect();
    for view in views {
        let before = leases.partition_point(|(_, _, (first, _))| first.0 <= view.revision);
        let Some((token, life, (first, last))) = before.checked_sub(1).map(|at| leases[at]) else {
            continue;
        };
        let is_live = view.revision <= last.0;
        let has_ended = life.ended.is_some_and(|ended| ended.0 <= view.revision);
        let (lines, story) = match view.token {
            Some(seen) if seen < token => {
                let story = format!("after token {token} had been granted at {}", first.0);
                ([view.line, first.1], format!("token {seen} was read as the holder {story}"))
            }
            Some(seen) if seen == token && has_ended => {
                let ended = life.ended.map_or(first, |ended| ended);
                let story = format!("token {seen} was read as the holder after it ended");
                ([view.line, ended.1], format!("{story} at {}", ended.0))
            }
            Some(seen) if seen > token && is_live => {
                let story = format!("token {seen} was read as the holder while token {token} was");
                ([view.line, last.1], story)
            }
            None if is_live => {
                let story = format!("it was read as free while token {token} was live");
                ([view.line, last.1], story)
            }
            _ => continue,
        };
        let story = format!("{resource} at revision {}: {story}", view.revision);
        violations.push(violation(&lines, story));
    }
    too_early(resource, lives, views, violations);
}

/// A lease is not read before the event that granted it.
fn too_early(resource: &str, lives: &Lives, views: &[View], violations: &mut Vec<Violation>) {
    let granted: BTreeMap<Token, (u64, usize)> =
        lives.iter().filter_map(|(token, around)| Some((token, around.life.granted?))).collect();
    for view in views {
        if let Some(granted) = view.token.and_then(|token| granted.get(&token))
            && view.revision < granted.0
        {
            let story = format!(
                "{resource} was read as held at revision {}, before the grant at {}",
                view.revision, granted.0
            );
            violations.push(violation(&[view.line, granted.1], story));
        }
    }
}

/// Where a watch missed nothing, the holder at each revision is known.
fn against_events(
    evidence: &Evidence<'_>,
    resource: &str,
    stretch: Stretch,
    views: &[View],
    violations: &mut Vec<Violation>,
) {
    let mut events = evidence.watches.events_in(resource, stretch).peekable();
    // The token, or that it is free; `None` until the first event of a watch that began in the middle.
    let mut holder = (stretch.after == 0).then_some((None, None));
    for view in views.iter().filter(|view| stretch.has(view.revision)) {
        while let Some(SeenEvent { line, event }) =
            events.next_if(|seen| seen.event.revision <= view.revision)
        {
            match (event.event, event.token) {
                (EventKind::Granted, token) => holder = Some((token, Some(line))),
                (EventKind::Released | EventKind::Expired, Some(_)) => {
                    holder = Some((None, Some(line)));
                }
                _ => {}
            }
        }
        let Some((token, since)) = holder.filter(|(token, _)| *token != view.token) else {
            continue;
        };
        let told = |token: Option<Token>| match token {
            Some(token) => format!("held with token {token}"),
            None => "free".to_owned(),
        };
        let (read, seen) = (told(view.token), told(token));
        let revision = view.revision;
        let story =
            format!("{resource} at revision {revision}: it was read as {read} and was {seen}");
        violations.push(violation(&[view.line, since.unwrap_or(view.line)], story));
    }
}

/// In the order of revisions tokens only grow, and one revision has one holder.
fn against_each_other(resource: &str, views: &[View], violations: &mut Vec<Violation>) {
    let mut latest: Option<(Token, usize)> = None;
    let mut freed: Option<Token> = None;
    for pair in views.windows(2) {
        let (one, next) = (pair[0], pair[1]);
        if one.revision == next.revision && one.token != next.token {
            let story = format!("{resource} was read in two ways at revision {}", one.revision);
            violations.push(violation(&[one.line, next.line], story));
        }
    }
    for view in views {
        match (view.token, latest) {
            (Some(token), Some((before, line))) if token < before || freed == Some(token) => {
                let story = format!("{resource} went back to token {token} after it was over");
                violations.push(violation(&[line, view.line], story));
            }
            (Some(token), _) => latest = Some((token, view.line)),
            (None, Some((before, _))) => freed = Some(before),
            (None, None) => {}
        }
    }
}
