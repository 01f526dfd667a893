//! S3: at each revision a resource has at most one holder.
//!
//! Two ways to see that, both in the order of revisions. Answers: a lease that was alive at a revision
//! lies between those with smaller and larger tokens, and is not alive again once it has ended.
//! Events: where a watch missed nothing, grants and ends alternate.

use super::evidence::Evidence;
use super::record::{EventKind, Token};
use super::report::{Property, Violation};
use super::watches::{SeenEvent, Stretch};

/// Both ways.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    by_answers(evidence, &mut violations);
    for (one, other) in &evidence.watches.clashes {
        let story = format!("revision {} is two different events", one.event.revision);
        violations.push(violation(&[one.line, other.line], story));
    }
    for resource in evidence.watches.resources() {
        for stretch in evidence.watches.stretches(resource) {
            let events = evidence.watches.events_in(resource, stretch);
            replay(resource, stretch, events, &mut violations);
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

fn replay<'a>(
    resource: &str,
    stretch: Stretch,
    events: impl Iterator<Item = SeenEvent<'a>>,
    violations: &mut Vec<Violation>,
) {
    let mut holder =
        if stretch.after == 0 { Holder::Nobody { since: None } } else { Holder::Unknown };
    for SeenEvent { line, event } in events {
        let at = event.revision;
        match (event.event, event.token, &holder) {
            (EventKind::Granted, Some(token), Holder::Lease { token: held, since }) => {
                let story = format!(
                    "{resource} was granted as token {token} at revision {at} \
                     while token {held} had not ended"
                );
                violations.push(violation(&[*since, line], story));
            }
            (EventKind::Released | EventKind::Expired, Some(token), Holder::Nobody { since }) => {
                let story = format!(
                    "token {token} on {resource} ended at revision {at} and did not hold it"
                );
                violations.push(violation(&[since.unwrap_or(line), line], story));
            }
            (
                EventKind::Released | EventKind::Expired,
                Some(token),
                Holder::Lease { token: held, since },
            ) if token != *held => {
                let story = format!(
                    "token {token} on {resource} ended at revision {at} while token {held} held it"
                );
                violations.push(violation(&[*since, line], story));
            }
            (EventKind::Queued, _, Holder::Nobody { since }) => {
                let story =
                    format!("a claim was queued at revision {at} although {resource} was free");
                violations.push(violation(&[since.unwrap_or(line), line], story));
            }
            _ => {}
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
