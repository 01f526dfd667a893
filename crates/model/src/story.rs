//! A counter-example as a story that can be read.

use std::fmt;

use crate::action::Action;
use crate::config::TICK_MS;
use crate::run::Story;
use crate::world::{Body, Message, Reply, Told, World, number};

const NAMES: [&str; 3] = ["A", "B", "C"];

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = &self.steps[0].0.rates;
        if rates.clients.iter().any(|rate| *rate != TICK_MS) || rates.leader != TICK_MS {
            write!(f, "Per second, the leader's clock shows {} ms", rates.leader)?;
            for (client, rate) in self.steps[0]
                .0
                .clients
                .iter()
                .enumerate()
                .map(|(client, _)| (NAMES[client], rates.clients[client]))
            {
                write!(f, ", {client}'s {rate}")?;
            }
            writeln!(f, ".")?;
        }
        let mut seconds = 0;
        for (index, pair) in self.steps.windows(2).enumerate() {
            let ((before, action), (after, _)) = (&pair[0], &pair[1]);
            let Some(action) = action else { continue };
            seconds += u64::from(matches!(action, Action::Tick { .. }));
            write!(f, "{:3}. at {seconds} s  {}", index + 1, Step { before, action })?;
            let noted: Vec<&str> = after.happened.iter().map(|what| what.words()).collect();
            if !noted.is_empty() {
                write!(f, " [{}]", noted.join("; "))?;
            }
            writeln!(f)?;
            let (was, is) = (Situation(before).to_string(), Situation(after).to_string());
            if was != is {
                writeln!(f, "               {is}")?;
            }
        }
        Ok(())
    }
}

struct Step<'a> {
    before: &'a World,
    action: &'a Action,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = |index: usize| Words(&self.before.wire[index]);
        let again = |copy: bool| if copy { ", and a copy stays under way" } else { "" };
        match *self.action {
            Action::Tick { awake: true } => write!(f, "a second passes"),
            Action::Tick { awake: false } => write!(f, "a second passes, the leader is frozen"),
            Action::Depose => write!(f, "the leader is deposed and does not know"),
            Action::Elect { again, keeps_entry } => {
                let who = if again { "the node that led before leads" } else { "a new leader" };
                let entry = match (self.before.entry.is_some(), keeps_entry) {
                    (true, true) => ", with the old one's proposal in its log",
                    (true, false) => "; the old one's proposal is gone",
                    (false, _) => "",
                };
                write!(f, "{who}{entry}")
            }
            Action::Note => {
                write!(f, "the new leader applies its first entry and notes lease time")
            }
            Action::Pulse => write!(f, "the leader proposes a pulse"),
            Action::Serve { message: index, copy } => {
                write!(f, "the leader takes {}{}", message(index), again(copy))
            }
            Action::Join { message: index } => write!(f, "{} joins the batch", message(index)),
            Action::Close => write!(f, "the leader closes its batch and proposes it"),
            Action::Commit => write!(f, "the proposal commits and is applied"),
            Action::Lose { message: index } => write!(f, "{} is lost", message(index)),
            Action::Receive { message: index } => write!(f, "{} arrives", message(index)),
            Action::Begin { client, waits } => {
                let waits = if waits { ", ready to wait" } else { "" };
                write!(f, "{} sends an acquire{waits}", NAMES[client])
            }
            Action::Retry { client } => {
                write!(f, "{} sends its acquire again, same id", NAMES[client])
            }
            Action::Renew { client } => write!(f, "{} sends a renewal", NAMES[client]),
            Action::GiveUp { client } => write!(f, "{} gives up", NAMES[client]),
            Action::Stop { client } => write!(f, "{} wants to release", NAMES[client]),
            Action::End { client } => write!(f, "{} sends its release or cancel", NAMES[client]),
            Action::CrashClient { client } => write!(f, "{} crashes", NAMES[client]),
            Action::Check { client } => {
                write!(f, "{} checks its lease, reads from the store, and sleeps", NAMES[client])
            }
            Action::Write { client, index, copy } => {
                let write = self.before.clients[client].writes[index];
                let (name, token, sequence) = (NAMES[client], write.token, write.sequence);
                write!(f, "{name}'s write ({token}, {sequence}) reaches the store{}", again(copy))
            }
            Action::Sync => write!(f, "the store's transaction is durable and answered"),
            Action::CrashStore => write!(f, "the store loses power"),
            Action::DeposedPulse => write!(f, "the deposed leader proposes its pulse"),
            Action::DeposedRevoke => write!(f, "the deposed leader's timer ends the lease"),
            Action::DeposedAnswer { message: index } => {
                write!(f, "the deposed leader itself answers {}", message(index))
            }
        }
    }
}

struct Words<'a>(&'a Message);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Message { client, age, body, .. } = *self.0;
        let name = NAMES[client];
        match body {
            Body::Acquire { .. } => write!(f, "{name}'s acquire"),
            Body::RenewRequest => write!(f, "{name}'s renewal by id"),
            Body::RenewToken { token } => write!(f, "{name}'s renewal of token {token}"),
            Body::Release { token } => write!(f, "{name}'s release of token {token}"),
            Body::Cancel => write!(f, "{name}'s cancel"),
            Body::Reply(Reply::Held { token, valid_for_ms }) => {
                write!(f, "the answer to {name}: held, token {token}, valid for {valid_for_ms} ms")
            }
            Body::Reply(Reply::Waiting) => write!(f, "the answer to {name}: waiting"),
            Body::Reply(Reply::Refused) => write!(f, "the answer to {name}: refused"),
            Body::Reply(Reply::Ended) => write!(f, "the answer to {name}: ended"),
            Body::Reply(Reply::NotHolder) => write!(f, "the answer to {name}: not the holder"),
            Body::Reply(Reply::Released) => write!(f, "the answer to {name}: released"),
            Body::Reply(Reply::Cancelled) => write!(f, "the answer to {name}: cancelled"),
            Body::Reply(Reply::Granted { token }) => {
                write!(f, "the push to {name}: granted token {token}")
            }
        }?;
        if age > 0 { write!(f, " (sent {age} s ago)") } else { Ok(()) }
    }
}

/// How things stand: lease time, who has the lease, who waits, who believes.
struct Situation<'a>(&'a World);

impl fmt::Display for Situation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(world) = self;
        let facts = world.lease.facts();
        write!(f, "lease time {} ms", facts.now)?;
        for (client, name) in NAMES.iter().enumerate().take(world.clients.len()) {
            for ordinal in 0..world.clients[client].begun {
                let Some(claim) = facts.claim(number(client, ordinal)) else { continue };
                let deadline = claim.deadline;
                match claim.token() {
                    Some(token) => write!(f, "; {name} holds, token {token}, until {deadline} ms")?,
                    None => write!(f, "; {name} waits, until {deadline} ms")?,
                }
            }
            let told = world.clients[client].claim.as_ref().map(|claim| (claim.told, claim));
            if let Some((Told::Held { token }, claim)) = told
                && claim.trusted_ns > 0
            {
                let ms = claim.trusted_ns / 1_000_000;
                write!(f, "; {name} BELIEVES that it holds token {token} for {ms} ms")?;
            }
        }
        if let Some(token) = world.store.mark.token() {
            write!(f, "; the store's mark is ({token}, {})", world.store.mark.sequence())?;
        }
        Ok(())
    }
}
