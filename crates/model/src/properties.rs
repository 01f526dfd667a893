//! What must be true, by the names used everywhere: one short function per name.
//!
//! Some are seen in a state, the others at a step, where a flaw is noted that stays.

use stateright::Property;

use crate::config::TICK_MS;
use crate::facts::PhaseFact;
use crate::ghost::Flaw;
use crate::heal::heals;
use crate::key::Keyed;
use crate::model::ProtocolModel;

/// All of them, as the checker wants them.
pub(crate) fn always() -> Vec<Property<ProtocolModel>> {
    vec![
        Property::always("S1 uniqueness of tokens", s1),
        Property::always("S2 tokens grow in real time", s2),
        Property::always("S3 mutual exclusion in the log", s3),
        Property::always("S4 holder validity", s4),
        Property::always("S5 fenced store", s5),
        Property::always("S6 end to end: no update lost", s6),
        Property::always("S7 idempotence", s7),
        Property::always("S8 definite means definite", s8),
        Property::always("C1 nobody else is granted what a holder believes", c1),
        Property::always("F1 a mark never decreases", f1),
        Property::always("I1 what is due has ended, or its turn comes after those that have", i1),
        Property::always("I2-I5 the core's other invariants", i_others),
        Property::always("I6 at most one holder per resource", i6),
        Property::always("I7 FIFO among live waiters", i7),
        Property::always("L1 a fair schedule ends every claim", l1),
        Property::always("L2 a dead holder is gone within the bound", l2),
        Property::always("the judge's notes say what the state says", notes),
    ]
}

fn none(world: &Keyed, flaws: &[Flaw]) -> bool {
    !flaws.iter().any(|flaw| world.ghost.has(*flaw))
}

fn s1(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::TokenTwice])
}

/// A token answered before another claim was asked for is the smaller one.
fn s2(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::TokenOrder])
}

fn s3(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::HeldTwice])
}

/// While a client believes, the cluster has the lease with that very token.
fn s4(_: &ProtocolModel, world: &Keyed) -> bool {
    let current = world.lease.facts().lease().and_then(|lease| lease.token());
    believed(world).all(|token| current == Some(token))
}

/// Commit order is token order; a refusal names a token that was presented; what was acknowledged
/// survives a crash.
fn s5(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::StoreOrder, Flaw::StoreFalseRefusal, Flaw::AcknowledgedLost])
}

/// Whoever writes has read what it overwrites.
fn s6(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::UpdateLost])
}

/// One id is granted once, and always answered with that token.
fn s7(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::GrantedTwice, Flaw::TokenDiffers])
}

/// After a definite no nothing is granted; whoever is told that it holds was granted.
fn s8(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::GrantedAfterNo, Flaw::AnsweredWithoutEffect])
}

/// No lease of another token while a client believes, and no two clients believe.
fn c1(_: &ProtocolModel, world: &Keyed) -> bool {
    let current = world.lease.facts().lease().and_then(|lease| lease.token());
    believed(world).all(|token| current.is_none_or(|current| current == token))
        && believed(world).count() < 2
}

fn believed(world: &Keyed) -> impl Iterator<Item = u64> {
    (0..world.clients.len()).filter_map(|client| world.believes(client))
}

fn f1(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::MarkDecreased])
}

/// Also at the very moment of a grant: nobody is granted what has ended for it already.
fn i1(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::CoreI1, Flaw::DeadGranted])
}

fn i_others(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::CoreOther])
}

fn i6(_: &ProtocolModel, world: &Keyed) -> bool {
    let held = world.lease.facts().claims.iter();
    let held = held.filter(|claim| matches!(claim.phase, PhaseFact::Held { .. }));
    none(world, &[Flaw::CoreI6]) && held.count() < 2
}

/// Nobody is granted before somebody who came earlier, and nobody waits for what is free.
fn i7(_: &ProtocolModel, world: &Keyed) -> bool {
    let facts = world.lease.facts();
    none(world, &[Flaw::CoreI7, Flaw::QueueJumped])
        && (facts.lease().is_some() || facts.claims.is_empty())
}

fn l1(model: &ProtocolModel, world: &Keyed) -> bool {
    !model.config.heals || heals(&model.config, world)
}

/// Time under a leader since the last request of its client that moved a claim's deadline: a ttl, one
/// pulse, and one pulse for each change of leader in between.
fn l2(model: &ProtocolModel, world: &Keyed) -> bool {
    let ttl = model.config.ttl_ms.div_ceil(TICK_MS);
    !model.config.bound
        || world.lease.facts().claims.iter().all(|claim| {
            let fate = &world.ghost.fates[usize::from(claim.request)];
            u64::from(fate.idle) <= ttl + 1 + u64::from(fate.changes)
        })
}

fn notes(_: &ProtocolModel, world: &Keyed) -> bool {
    none(world, &[Flaw::NotesDiffer])
}
