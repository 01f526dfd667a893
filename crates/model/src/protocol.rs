//! From a log entry to the real [`Lease::apply`], and the mutants that change what an entry does.

use leasehold_core::{Answer, Command, EventKind};

use crate::config::Config;
use crate::facts::{PhaseFact, number_bytes};
use crate::lease::{Entered, Lease, cancel, release, renew_requests};
use crate::mutant::Mutant;

/// Applies one log entry with stamp `at`.
pub(crate) fn enter(config: &Config, lease: &Lease, at: u64, commands: Vec<Command>) -> Entered {
    match config.mutant {
        Mutant::PromotionResetsDeadline => promote_afresh(lease, at, &commands),
        Mutant::WaitersLiveForEver => keep_waiters(lease, at, commands),
        Mutant::NoEndedMemory => {
            let entered = lease.apply(at, &commands);
            let range = entered.lease.facts().ended_bytes.clone();
            Entered { lease: entered.lease.rewritten(range, &[0]), ..entered }
        }
        Mutant::CancelOfUnknownForgotten => forget_unknown_cancels(lease, at, commands),
        Mutant::ReleaseByResource => {
            let current = lease.facts().lease().and_then(|claim| claim.token());
            let commands: Vec<Command> = commands
                .into_iter()
                .map(|command| match (&command, current) {
                    (Command::Release { .. }, Some(current)) => release(current),
                    _ => command,
                })
                .collect();
            lease.apply(at, &commands)
        }
        Mutant::ExpireOneByOne => expire_one_by_one(lease, at, &commands),
        Mutant::RenewalsAfterExpiry => after(lease.apply(at, &[Command::Pulse]), at, &commands),
        Mutant::TokensRestart => {
            let entered = lease.apply(at, &commands);
            let facts = entered.lease.facts();
            if !facts.claims.is_empty() {
                return entered;
            }
            let lease = entered.lease.rewritten(facts.next_token_bytes.clone(), &number_bytes(1));
            Entered { lease, ..entered }
        }
        _ => lease.apply(at, &commands),
    }
}

/// Two entries as one: the outcomes are those of the second.
fn after(first: Entered, at: u64, commands: &[Command]) -> Entered {
    let mut second = first.lease.apply(at, commands);
    second.applied.events.splice(0..0, first.applied.events);
    second
}

fn promote_afresh(lease: &Lease, at: u64, commands: &[Command]) -> Entered {
    let entered = lease.apply(at, commands);
    let waited =
        |request: &u8| lease.facts().claim(*request).is_some_and(|claim| claim.token().is_none());
    let granted = entered.applied.events.iter().filter_map(|event| match event.kind {
        EventKind::Granted { .. } => Some(event.request.as_bytes()[0]),
        _ => None,
    });
    let promoted: Vec<u8> = granted.filter(waited).collect();
    let renewed = entered.lease.apply(at, &[renew_requests(promoted.into_iter())]);
    Entered { lease: renewed.lease, ..entered }
}

fn keep_waiters(lease: &Lease, at: u64, mut commands: Vec<Command>) -> Entered {
    commands.push(renew_requests(lease.facts().waiting().map(|claim| claim.request)));
    let mut entered = lease.apply(at, &commands);
    entered.applied.outcomes.pop();
    entered
}

fn forget_unknown_cancels(lease: &Lease, at: u64, mut commands: Vec<Command>) -> Entered {
    let facts = lease.facts();
    let live = |command: &Command| facts.claims.iter().any(|c| cancel(c.request) == *command);
    for command in &mut commands {
        if matches!(command, Command::Cancel { .. }) && !live(command) {
            *command = Command::Pulse;
        }
    }
    let mut entered = lease.apply(at, &commands);
    for outcome in &mut entered.applied.outcomes {
        if outcome.answer == Answer::Pulsed {
            outcome.answer = Answer::Cancelled { ended: None };
        }
    }
    entered
}

fn expire_one_by_one(lease: &Lease, at: u64, commands: &[Command]) -> Entered {
    let due = |lease: &Lease| {
        let dues = lease.facts().claims.iter().map(|claim| match claim.phase {
            PhaseFact::Waiting { until } => until.min(claim.deadline),
            PhaseFact::Held { .. } => claim.deadline,
        });
        dues.min().filter(|due| *due <= at)
    };
    let mut entered = lease.apply(lease.now(), &[]);
    while let Some(due) = due(&entered.lease) {
        entered = after(entered, due, &[Command::Pulse]);
    }
    after(entered, at, commands)
}
