//! S3: at each revision a resource has at most one holder.
//!
//! Three ways to see that. Answers, in the order of revisions: a lease that was live at a revision lies
//! between those with smaller and larger tokens, and is not live again once it has ended. Answers by
//! their times, for those without a revision. Events: where a watch missed nothing, grants and ends
//! alternate.

use super::evidence::Evidence;
use super::record::{Event, EventKind, Token};
use super::report::{Property, Violation};
use super::watches::{SeenEvent, Stretch};

/// All three ways.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    by_answers(evidence, &mut violations);
    by_times(evidence, &mut violations);
    for (one, other) in &evidence.watches.clashes {
        let story = format!("revision {} is two different events", one.event.revision);
        violations.push(violation(&[one.line, other.line], story));
    }
    for resource in evidence.watches.resources() {
        for stretch in evidence.watches.stretches(resource) {
            let events = evidence.watches.events_in(resource, stretch);
            replay(stretch, events, &mut violations);
        }
    }
    violations
}

fn violation(lines: &[usize], story: String) -> Violation {
    Violation::new(Property::S3Exclusion, lines, story)
}

fn by_answers(evidence: &Evidence<'_>, violations: &mut Vec<Violation>) {
    for (resource, lives) in &evidence.lives {
        for (token, around) in lives.iter() {
            let Some((first, last)) = around.life.live else { continue };
            if let Some(ended) = around.life.ended
                && last.0 >= ended.0
            {
                let story = format!(
                    "token {token} on {resource} had ended at revision {} and was live at {}",
                    ended.0, last.0
                );
                violations.push(violation(&[ended.1, last.1], story));
            }
            if let Some((before, earlier)) = around.before
                && before.0 >= first.0
            {
                let story = format!(
                    "{resource} had two holders: token {token} was live at revision {}, \
                     and token {earlier}, granted before it, at {}",
                    first.0, before.0
                );
                violations.push(violation(&[first.1, before.1], story));
            }
        }
    }
}

/// Without revisions: what was answered as ended is not found live by a call that is made later.
fn by_times(evidence: &Evidence<'_>, violations: &mut Vec<Violation>) {
    for (token, tenure) in &evidence.tenures {
        if let (Some(alive), Some(ended)) = (tenure.alive, tenure.ended)
            && ended.0 < alive.0
        {
            let story = format!("token {token} was found live by a call made after it had ended");
            violations.push(violation(&[ended.1, alive.1], story));
        }
    }
}

/// What a watch knows of the holder.
enum Holder {
    /// The watch began in the middle.
    Unknown,
    Nobody {
        since: Option<usize>,
    },
    Lease {
        token: Token,
        since: usize,
    },
}

impl Holder {
    /// Why an event cannot have happened, and the line that speaks against it.
    fn contradicts(&self, event: &Event) -> Option<(Option<usize>, String)> {
        let (at, resource) = (event.revision, &event.resource);
        let ends = matches!(event.event, EventKind::Released | EventKind::Expired);
        match (self, event.token) {
            (Self::Lease { token: held, since }, Some(token)) if !ends => {
                let story = format!(
                    "{resource} was granted as token {token} at revision {at} \
                     while token {held} had not ended"
                );
                Some((Some(*since), story))
            }
            (Self::Lease { token: held, since }, Some(token)) if token != *held => {
                let story = format!(
                    "token {token} on {resource} ended at revision {at} while token {held} held it"
                );
                Some((Some(*since), story))
            }
            (Self::Nobody { since }, Some(token)) if ends => {
                let story = format!(
                    "token {token} on {resource} ended at revision {at} and did not hold it"
                );
                Some((*since, story))
            }
            (Self::Nobody { since }, None) if event.event == EventKind::Queued => {
                let story =
                    format!("a claim was queued at revision {at} although {resource} was free");
                Some((*since, story))
            }
            _ => None,
        }
    }
}

fn replay<'a>(
    stretch: Stretch,
    events: impl Iterator<Item = SeenEvent<'a>>,
    violations: &mut Vec<Violation>,
) {
    let mut holder =
        if stretch.after == 0 { Holder::Nobody { since: None } } else { Holder::Unknown };
    for SeenEvent { line, event } in events {
        if let Some((against, story)) = holder.contradicts(event) {
            violations.push(violation(&[against.unwrap_or(line), line], story));
        }
        match (event.event, event.token) {
            (EventKind::Granted, Some(token)) => holder = Holder::Lease { token, since: line },
            (EventKind::Released | EventKind::Expired, Some(_)) => {
                holder = Holder::Nobody { since: Some(line) };
            }
            _ => {}
        }
    }
}
