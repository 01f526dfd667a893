//! L1: when faults end and everybody does what it should, every claim ends and the resource is free.
//!
//! From a state a fair schedule is played: what is under way arrives, what is proposed commits, holders
//! let go, waiters renew and wait, and time passes only when nothing else is to be done. No search; the
//! schedule is one of many, so this shows what is stuck for good, not every delay.

use crate::action::Action;
use crate::config::Config;
use crate::world::{Body, Intent, Told, World, number};

/// Steps within which it must be over; twice what was ever needed.
const STEPS_MAX: usize = 200;

pub(crate) fn heals(config: &Config, world: &World) -> bool {
    let mut world = world.clone();
    for _ in 0..STEPS_MAX {
        if is_idle(&world) {
            return true;
        }
        let action = next(config, &world);
        world = world.after(config, action);
    }
    false
}

fn is_idle(world: &World) -> bool {
    world.clients.iter().all(|client| client.claim.is_none())
        && world.lease.facts().claims.is_empty()
}

fn next(config: &Config, world: &World) -> Action {
    log_step(world)
        .or_else(|| message_step(world))
        .or_else(|| client_step(config, world))
        .unwrap_or_else(|| {
            // Real time passes, and the leader commits that it did.
            if world.stamp_lead_ms(config) > 0 {
                Action::Pulse
            } else {
                Action::Tick { awake: true }
            }
        })
}

fn log_step(world: &World) -> Option<Action> {
    let Some(leader) = &world.leader else {
        return Some(Action::Elect { again: false, keeps_entry: world.entry.is_some() });
    };
    match &world.entry {
        Some(entry) if entry.closed => Some(Action::Commit),
        Some(_) => Some(Action::Close),
        None => (!leader.noted).then_some(Action::Note),
    }
}

fn message_step(world: &World) -> Option<Action> {
    let is_reply = |body| matches!(body, Body::Reply(_));
    let reply = world.wire.iter().position(|message| is_reply(message.body));
    let receive = reply.map(|message| Action::Receive { message });
    receive
        .or_else(|| (!world.wire.is_empty()).then_some(Action::Serve { message: 0, copy: false }))
}

/// Each client does one thing between two steps of time: none has anything under way here.
fn client_step(config: &Config, world: &World) -> Option<Action> {
    (0..config.clients).find_map(|client| {
        let claim = world.clients[client].claim.as_ref()?;
        match (claim.intent, claim.told) {
            (Intent::Cancel | Intent::Release, _) => Some(Action::End { client }),
            (Intent::Keep, Told::Held { .. }) => Some(Action::Stop { client }),
            (Intent::Keep, Told::Nothing) if claim.may_retry(config) => {
                Some(Action::Retry { client })
            }
            (Intent::Keep, Told::Nothing) => Some(Action::GiveUp { client }),
            (Intent::Keep, Told::Waiting) => {
                let facts = world.lease.facts();
                let live = facts.claim(number(client, claim.ordinal));
                let fresh = live.is_some_and(|live| live.deadline >= facts.now + config.ttl_ms);
                (!fresh).then_some(Action::Renew { client })
            }
        }
    })
}
