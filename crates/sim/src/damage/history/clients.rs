//! What clients do: claims of every kind, and everything they are told is noted.

use std::time::Duration;

use leasehold_core::{Answer, Command, Outcome, Renew};
use leasehold_types::{
    Acquire, FencingToken, Holder, LeaseTtl, RequestId, ResourceName, Standing, WaitLimit,
};

use super::LAST_GRANTED;
use super::author::{Author, lock};
use crate::simulation::process;

pub(super) const LONG_MS: u64 = 3_600_000;
/// Longer than from one renewal of the history to the next, and than from its end to the questions of
/// a trial.
const KEPT_MS: u64 = 60_000;

impl Author {
    /// A bit of everything, through one node.
    pub(super) async fn round(&mut self, through: u64) -> Result<(), String> {
        self.rounds += 1;
        let round = self.rounds;
        let name = |what: &str| format!("{round}/{what}");
        self.hold_and_release(through, &name("held"), &name("released")).await?;
        self.queue(through, &name("queue")).await?;
        self.overtake(through, &name("overtaken")).await?;
        self.keep(through).await?;
        let expired = self.claim(&name("expired"), 1_000, 0);
        self.ask(through, &expired.resource.clone(), Command::Acquire(expired.clone())).await?;
        process::sleep(Duration::from_millis(1_700)).await;
        self.settle(through, &expired.resource).await
    }

    /// What only a leader and one follower will know.
    pub(super) async fn last_words(&mut self, through: u64) -> Result<(), String> {
        self.hold_and_release(through, LAST_GRANTED, "last/released").await?;
        self.overtake(through, "last/overtaken").await?;
        self.keep(through).await
    }

    pub(super) async fn hold_and_release(
        &mut self,
        through: u64,
        held: &str,
        released: &str,
    ) -> Result<(), String> {
        let held = self.claim(held, LONG_MS, 0);
        let resource = held.resource.clone();
        self.ask(through, &resource, Command::Acquire(held)).await?;
        let taken = self.claim(resource.as_str(), LONG_MS, 0);
        let outcome = self.ask(through, &resource, Command::Acquire(taken)).await?;
        expect(matches!(outcome.answer, Answer::Refused(_)), &outcome)?;
        self.settle(through, &resource).await?;
        let released = self.claim(released, LONG_MS, 0);
        let resource = released.resource.clone();
        let outcome = self.ask(through, &resource, Command::Acquire(released)).await?;
        let token = token(&outcome)?;
        let release = Command::Release { resource: resource.clone(), token };
        self.ask(through, &resource, release).await?;
        self.settle(through, &resource).await
    }

    /// One holds and releases; of those who wait, one is next, one cancels, one has no patience, one
    /// stays.
    async fn queue(&mut self, through: u64, name: &str) -> Result<(), String> {
        let first = self.claim(name, LONG_MS, 0);
        let resource = first.resource.clone();
        let outcome = self.ask(through, &resource, Command::Acquire(first)).await?;
        let token = token(&outcome)?;
        let mut waiters = Vec::new();
        for wait_ms in [LONG_MS, LONG_MS, 400, LONG_MS] {
            let waiter = self.claim(name, LONG_MS, wait_ms);
            waiters.push(waiter.request);
            self.ask(through, &resource, Command::Acquire(waiter)).await?;
        }
        self.ask(through, &resource, Command::Cancel { request: waiters[1] }).await?;
        let release = Command::Release { resource: resource.clone(), token };
        self.ask(through, &resource, release).await?;
        process::sleep(Duration::from_millis(800)).await;
        self.settle(through, &resource).await
    }

    /// A cancel arrives before what it cancels.
    async fn overtake(&mut self, through: u64, name: &str) -> Result<(), String> {
        let late = self.claim(name, LONG_MS, 0);
        let resource = late.resource.clone();
        self.ask(through, &resource, Command::Cancel { request: late.request }).await?;
        self.ask(through, &resource, Command::Acquire(late)).await?;
        self.settle(through, &resource).await
    }

    /// A lease that lives on its renewals. Not settled before the end: when it expires depends on when
    /// one looks.
    async fn keep(&mut self, through: u64) -> Result<(), String> {
        let kept = Acquire {
            request: RequestId::from_bytes([0xCE; 16]),
            ..self.claim("kept", KEPT_MS, 0)
        };
        let resource = kept.resource.clone();
        let outcome = self.ask(through, &resource, Command::Acquire(kept.clone())).await?;
        let (tokens, requests) = (vec![token(&outcome)?], vec![kept.request]);
        let renew = Command::Renew(Renew { tokens, requests });
        let outcome = self.ask(through, &resource, renew).await?;
        expect(
            matches!(&outcome.answer, Answer::Renewed(items) if items.iter().all(Result::is_ok)),
            &outcome,
        )
    }

    pub(super) fn claim(&mut self, resource: &str, ttl_ms: u64, wait_ms: u64) -> Acquire {
        self.requests += 1;
        Acquire {
            resource: ResourceName::new(resource).expect("the script uses good names"),
            holder: Holder::new("the script").expect("a good name"),
            request: RequestId::from_bytes(u128::from(self.requests).to_be_bytes()),
            ttl: LeaseTtl::from_ms(ttl_ms).expect("the script uses allowed ttls"),
            wait: WaitLimit::from_ms(wait_ms).expect("the script uses allowed waits"),
        }
    }

    async fn ask(
        &mut self,
        through: u64,
        resource: &ResourceName,
        command: Command,
    ) -> Result<Outcome, String> {
        lock(&self.notes).open(resource);
        let outcome = self.cluster.ask(through, &command).await?;
        lock(&self.notes).hear(&command, &outcome);
        Ok(outcome)
    }

    /// Asks for every claim of a resource again: how they stand now is certain.
    async fn settle(&mut self, through: u64, resource: &ResourceName) -> Result<(), String> {
        self.settle_these(through, std::slice::from_ref(resource)).await
    }

    pub(super) async fn settle_all(&mut self, through: u64) -> Result<(), String> {
        let resources: Vec<_> = lock(&self.notes).resources().into_iter().collect();
        self.settle_these(through, &resources).await
    }

    async fn settle_these(
        &mut self,
        through: u64,
        resources: &[ResourceName],
    ) -> Result<(), String> {
        let claims = resources.iter().flat_map(|resource| lock(&self.notes).claims_of(resource));
        let commands: Vec<_> = claims.map(Command::Acquire).collect();
        let outcomes = self.cluster.ask_all(through, &commands).await?;
        let mut notes = lock(&self.notes);
        for (command, outcome) in commands.iter().zip(&outcomes) {
            notes.hear(command, outcome);
        }
        resources.iter().for_each(|resource| notes.settle(resource));
        Ok(())
    }
}

fn expect(holds: bool, outcome: &Outcome) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(format!("the script did not expect {outcome:?}")),
    }
}

fn token(outcome: &Outcome) -> Result<FencingToken, String> {
    match &outcome.answer {
        Answer::Claim(claim) => match claim.standing {
            Standing::Held { token } => Ok(token),
            Standing::Waiting { .. } => Err(format!("not granted: {claim:?}")),
        },
        other => Err(format!("not granted: {other:?}")),
    }
}
