//! A sequential lease server of one resource, as simple as it can be said.
//!
//! It knows no clock. A claim may end by itself at any time after the moment until which its answers
//! said that it is good; that it must, nobody can observe.

use super::super::record::Token;
use super::calls::{Acquired, Call, Calls, Renewed, What};

/// The resource: who holds it, who waits, and which claims are over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    holder: Option<Holder>,
    queue: Vec<Waiter>,
    /// A bit for each claim that has ended.
    over: u64,
    last_token: Option<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Holder {
    claim: usize,
    /// `None` where no line tells it: nobody was ever answered.
    token: Option<Token>,
    surely_until_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    claim: usize,
    surely_until_ns: u64,
    /// Whether a call waits for it to be granted, and what that call will be answered.
    expects: Option<Expectation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Expectation {
    Granted,
    Over,
}

impl State {
    /// Whether a call that has begun is not over, because its claim still waits.
    pub(super) fn keeps_waiting(&self, call: &Call) -> bool {
        let What::Acquire { claim, answer, .. } = call.what else { return false };
        expectation(answer).is_some() && self.waiter(claim).is_some()
    }

    /// The state after a call, if it would have been answered as it was.
    pub(super) fn after(&self, call: &Call, calls: &Calls) -> Option<Self> {
        let mut next = self.clone();
        next.apply(&call.what, calls).then_some(next)
    }

    /// The states after a claim has ended by itself, where one can have by then.
    pub(super) fn after_an_end(&self, horizon: u64, calls: &Calls) -> Vec<Self> {
        let mut states = Vec::new();
        if self.holder.as_ref().is_some_and(|holder| holder.surely_until_ns <= horizon) {
            let mut next = self.clone();
            if next.end_lease(calls) {
                states.push(next);
            }
        }
        for (at, waiter) in self.queue.iter().enumerate() {
            if waiter.surely_until_ns <= horizon {
                let mut next = self.clone();
                if next.end_waiter(at) {
                    states.push(next);
                }
            }
        }
        states
    }

    fn apply(&mut self, what: &What, calls: &Calls) -> bool {
        match *what {
            What::Acquire { claim, waits, surely_until_ns, answer } => {
                self.acquire(claim, waits, surely_until_ns, answer, calls)
            }
            What::RenewClaim { claim, surely_until_ns, answer } => match answer {
                Renewed::Gone => !self.is_live(claim),
                Renewed::Place => self.prolong_waiter(claim, surely_until_ns),
                Renewed::Token(token) => self.prolong_lease(token, surely_until_ns),
            },
            What::RenewToken { token, surely_until_ns, ok: true } => {
                self.prolong_lease(token, surely_until_ns)
            }
            What::RenewToken { token, ok: false, .. } => !self.holds(token),
            What::Release { token, was_held } => {
                let holds = self.holds(token);
                was_held.is_none_or(|was_held| was_held == holds)
                    && (!holds || self.end_lease(calls))
            }
            What::Cancel { claim, answer } => self.cancel(claim, answer, calls),
            What::Get { token: None } => self.holder.is_none(),
            What::Get { token: Some(token) } => self.reveal(token),
        }
    }

    fn acquire(
        &mut self,
        claim: usize,
        waits: bool,
        surely_until_ns: u64,
        answer: Acquired,
        calls: &Calls,
    ) -> bool {
        if self.over & (1 << claim) != 0 {
            return matches!(answer, Acquired::Ended | Acquired::Unknown);
        }
        if self.holder.as_ref().is_some_and(|holder| holder.claim == claim) {
            return match answer {
                Acquired::Token(token) => self.prolong_lease(token, surely_until_ns),
                answer => answer == Acquired::Unknown,
            };
        }
        if let Some(at) = self.waiter(claim) {
            return self.queue[at].join(surely_until_ns, answer);
        }
        if self.holder.is_none() {
            return match answer {
                Acquired::Token(_) | Acquired::Unknown => self.grant(claim, surely_until_ns, calls),
                _ => false,
            };
        }
        if !waits {
            return match answer {
                Acquired::Held(token) => token.is_none_or(|token| self.reveal(token)),
                answer => answer == Acquired::Unknown,
            };
        }
        let mut waiter = Waiter { claim, surely_until_ns: 0, expects: None };
        let joined = waiter.join(surely_until_ns, answer);
        self.queue.push(waiter);
        joined
    }

    fn cancel(
        &mut self,
        claim: usize,
        answer: Option<(bool, Option<Token>)>,
        calls: &Calls,
    ) -> bool {
        let is_lease = self.holder.as_ref().is_some_and(|holder| holder.claim == claim);
        let fits = match answer {
            None => true,
            Some((was_live, None)) => !is_lease && was_live == self.is_live(claim),
            Some((was_live, Some(token))) => was_live && is_lease && self.reveal(token),
        };
        if !fits {
            return false;
        }
        if is_lease {
            return self.end_lease(calls);
        }
        match self.waiter(claim) {
            Some(at) => self.end_waiter(at),
            None => {
                self.over |= 1 << claim;
                true
            }
        }
    }

    /// Grants the free resource. A token that somebody was told must be larger than all before.
    fn grant(&mut self, claim: usize, surely_until_ns: u64, calls: &Calls) -> bool {
        let token = calls.token_of[claim];
        self.holder = Some(Holder { claim, token, surely_until_ns });
        token.is_none_or(|token| self.issue(token))
    }

    fn issue(&mut self, token: Token) -> bool {
        let grows = self.last_token.is_none_or(|last| last < token);
        self.last_token = Some(token);
        grows
    }

    fn end_lease(&mut self, calls: &Calls) -> bool {
        let Some(holder) = self.holder.take() else { return false };
        self.over |= 1 << holder.claim;
        if self.queue.is_empty() {
            return true;
        }
        let first = self.queue.remove(0);
        first.expects != Some(Expectation::Over)
            && self.grant(first.claim, first.surely_until_ns, calls)
    }

    fn end_waiter(&mut self, at: usize) -> bool {
        let waiter = self.queue.remove(at);
        self.over |= 1 << waiter.claim;
        waiter.expects != Some(Expectation::Granted)
    }

    fn prolong_lease(&mut self, token: Token, surely_until_ns: u64) -> bool {
        if !self.reveal(token) {
            return false;
        }
        if let Some(holder) = &mut self.holder {
            holder.surely_until_ns = holder.surely_until_ns.max(surely_until_ns);
        }
        true
    }

    /// How long a waiter has asked to wait is not its answer's to tell: a renewal promises nothing.
    fn prolong_waiter(&mut self, claim: usize, _surely_until_ns: u64) -> bool {
        self.waiter(claim).is_some()
    }

    /// Whether the lease has that token. One that nobody was told so far is told by this.
    fn reveal(&mut self, token: Token) -> bool {
        let Some(holder) = &mut self.holder else { return false };
        if holder.token.is_none() {
            holder.token = Some(token);
            return self.issue(token);
        }
        holder.token == Some(token)
    }

    fn holds(&self, token: Token) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.token == Some(token))
    }

    fn is_live(&self, claim: usize) -> bool {
        let holds = self.holder.as_ref().is_some_and(|holder| holder.claim == claim);
        holds || self.waiter(claim).is_some()
    }

    fn waiter(&self, claim: usize) -> Option<usize> {
        self.queue.iter().position(|waiter| waiter.claim == claim)
    }
}

impl Waiter {
    /// A call attaches to a claim that waits. Two that expect different things cannot both be right.
    fn join(&mut self, surely_until_ns: u64, answer: Acquired) -> bool {
        if let Acquired::Held(_) = answer {
            return false;
        }
        // What a call promises that waited until the grant, it promises of the lease.
        if let Acquired::Token(_) = answer {
            self.surely_until_ns = self.surely_until_ns.max(surely_until_ns);
        }
        let Some(expected) = expectation(answer) else { return true };
        let fits = self.expects.is_none_or(|other| other == expected);
        self.expects = Some(expected);
        fits
    }
}

/// What must become of the claim before a call with that answer is over.
fn expectation(answer: Acquired) -> Option<Expectation> {
    match answer {
        Acquired::Token(_) => Some(Expectation::Granted),
        Acquired::WaitOver | Acquired::Ended => Some(Expectation::Over),
        Acquired::Place | Acquired::Held(_) | Acquired::Unknown => None,
    }
}
