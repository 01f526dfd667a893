//! Asks in plain messages, one line of history each: what the library keeps to itself (revisions, bounds,
//! places, retries under one id, cancels) is in the answers, and the checks want to see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_api::{Failure, Problem, duration_from_std, std_from_duration};
use leasehold_sim::history::record::{
    Acquire, Cancel, Cancelled, Get, Held, List, Listed, Outcome as Answer, Record, Refused,
    Release, Released, Renew, Seen, Standing, Token,
};
use leasehold_types::RequestId;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::journal::Journal;
use crate::Outcome;

/// Few, so that probers meet.
const RESOURCES: u32 = 2;
const PREFIX: &str = "probe/";
const ANSWER: Duration = Duration::from_secs(4);
const BREATH: Duration = Duration::from_millis(10);

/// One prober.
pub(super) struct Prober {
    nodes: Vec<LeaseServiceClient<Channel>>,
    journal: Journal,
    random: fastrand::Rng,
    ttl: Duration,
}

impl Prober {
    pub(super) fn new(
        endpoints: &[String],
        journal: Journal,
        seed: u64,
        ttl: Duration,
    ) -> Outcome<Self> {
        let node = |endpoint: &String| {
            let endpoint = Endpoint::from_shared(format!("http://{endpoint}"))?;
            let endpoint = endpoint.connect_timeout(Duration::from_millis(500));
            Ok(LeaseServiceClient::new(endpoint.connect_lazy()))
        };
        let nodes = endpoints.iter().map(node).collect::<Outcome<_>>()?;
        Ok(Self { nodes, journal, random: fastrand::Rng::with_seed(seed), ttl })
    }

    pub(super) async fn probe(mut self, ending: &AtomicBool) -> Outcome<()> {
        while !ending.load(Ordering::Relaxed) {
            let resource = format!("{PREFIX}{}", self.random.u32(..RESOURCES));
            match self.random.u8(..6) {
                0 => self.get(&resource).await?,
                1 => self.list().await?,
                _ => self.claim(&resource).await?,
            }
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }

    /// One claim from its first message to its end: asked for again under its id while the outcome is
    /// unknown, and then used, cancelled, released or forgotten.
    async fn claim(&mut self, resource: &str) -> Outcome<()> {
        let id = RequestId::from_bytes(std::array::from_fn(|_| self.random.u8(..)));
        let wait = Duration::from_millis(if self.random.bool() { 0 } else { 1_500 });
        for _ in 0..3 {
            match self.acquire(resource, id, wait).await? {
                Answer::Unknown => {}
                Answer::Refused(_) => return Ok(()),
                Answer::Ok(claim) => {
                    let Some(token) = claim.token else { break };
                    for _ in 0..self.random.u8(..3) {
                        self.renew(resource, token).await?;
                        self.get(resource).await?;
                    }
                    return match self.random.u8(..5) {
                        0 => Ok(()),
                        1 => self.cancel(resource, id).await,
                        _ => self.release(resource, token).await,
                    };
                }
            }
        }
        self.cancel(resource, id).await
    }

    /// Any node: it does not matter which.
    fn node(&mut self) -> LeaseServiceClient<Channel> {
        let at = self.random.usize(..self.nodes.len());
        self.nodes[at].clone()
    }

    async fn acquire(
        &mut self,
        resource: &str,
        id: RequestId,
        wait: Duration,
    ) -> Outcome<Answer<Standing>> {
        let request = pb::AcquireRequest {
            resource: resource.to_owned(),
            holder: self.journal.client(),
            request_id: id.as_bytes().to_vec().into(),
            ttl: Some(duration_from_std(self.ttl)),
            wait: Some(duration_from_std(wait)),
        };
        let mut call = Acquire {
            client: self.journal.client(),
            request_id: id.to_string(),
            resource: resource.to_owned(),
            wait_ms: wait.as_millis().try_into()?,
            retried: false,
            invoked_ns: self.journal.begin(),
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        self.journal.write(&Record::Acquire(call.clone()))?;
        let mut node = self.node();
        let outcome =
            answer(node.acquire(request), |said| standing(said.lease.as_ref(), said.revision));
        call.outcome = outcome.await;
        call.answered_ns = Some(self.journal.now());
        self.journal.write(&Record::Acquire(call.clone()))?;
        Ok(call.outcome)
    }

    async fn renew(&mut self, resource: &str, token: Token) -> Outcome<()> {
        let request = pb::RenewRequest { tokens: vec![token.get()], request_ids: Vec::new() };
        let mut call = Renew {
            client: self.journal.client(),
            resource: resource.to_owned(),
            token: Some(token),
            request_id: None,
            invoked_ns: self.journal.begin(),
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        self.journal.write(&Record::Renew(call.clone()))?;
        let mut node = self.node();
        let said = answer(node.renew(request), |said| said).await;
        call.outcome = match said {
            Answer::Ok(said) => renewed(said),
            Answer::Refused(no) => Answer::Refused(no),
            Answer::Unknown => Answer::Unknown,
        };
        call.answered_ns = Some(self.journal.now());
        Ok(self.journal.write(&Record::Renew(call))?)
    }

    async fn release(&mut self, resource: &str, token: Token) -> Outcome<()> {
        let request = pb::ReleaseRequest { resource: resource.to_owned(), token: token.get() };
        let mut call = Release {
            client: self.journal.client(),
            resource: resource.to_owned(),
            token,
            invoked_ns: self.journal.begin(),
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        self.journal.write(&Record::Release(call.clone()))?;
        let mut node = self.node();
        let outcome = answer(node.release(request), |said| Released {
            was_held: said.was_held,
            revision: Some(said.revision),
        });
        call.outcome = outcome.await;
        call.answered_ns = Some(self.journal.now());
        Ok(self.journal.write(&Record::Release(call))?)
    }

    async fn cancel(&mut self, resource: &str, id: RequestId) -> Outcome<()> {
        let request = pb::CancelRequest { request_id: id.as_bytes().to_vec().into() };
        let mut call = Cancel {
            client: self.journal.client(),
            resource: resource.to_owned(),
            request_id: id.to_string(),
            invoked_ns: self.journal.begin(),
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        self.journal.write(&Record::Cancel(call.clone()))?;
        let mut node = self.node();
        let outcome = answer(node.cancel(request), |said| Cancelled {
            was_live: said.was_live,
            released_token: Token::new(said.released_token),
            revision: Some(said.revision),
        });
        call.outcome = outcome.await;
        call.answered_ns = Some(self.journal.now());
        Ok(self.journal.write(&Record::Cancel(call))?)
    }

    async fn get(&mut self, resource: &str) -> Outcome<()> {
        let request = pb::GetRequest { resource: resource.to_owned() };
        let invoked_ns = self.journal.begin();
        let mut node = self.node();
        let outcome = answer(node.get(request), |said| Seen {
            token: Token::new(said.state.unwrap_or_default().lease.unwrap_or_default().token),
            revision: Some(said.revision),
        });
        let outcome = outcome.await;
        Ok(self.journal.write(&Record::Get(Get {
            client: self.journal.client(),
            resource: resource.to_owned(),
            invoked_ns,
            answered_ns: Some(self.journal.now()),
            outcome,
        }))?)
    }

    async fn list(&mut self) -> Outcome<()> {
        let request = pb::ListRequest { prefix: PREFIX.to_owned(), ..Default::default() };
        let invoked_ns = self.journal.begin();
        let mut node = self.node();
        let held = |state: pb::ResourceState| {
            let token = Token::new(state.lease?.token)?;
            Some(Held { resource: state.resource, token })
        };
        let outcome = answer(node.list(request), |said| Listed {
            more: !said.next_page_token.is_empty(),
            resources: said.resources.into_iter().filter_map(held).collect(),
            revision: Some(said.revision),
        });
        let outcome = outcome.await;
        Ok(self.journal.write(&Record::List(List {
            client: self.journal.client(),
            prefix: PREFIX.to_owned(),
            after: String::new(),
            invoked_ns,
            answered_ns: Some(self.journal.now()),
            outcome,
        }))?)
    }
}

/// One message and what was answered. A fault is unknown, even where it says "not applied".
async fn answer<T, A>(
    call: impl Future<Output = Result<Response<T>, Status>>,
    say: impl FnOnce(T) -> A,
) -> Answer<A> {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(Ok(said)) => Answer::Ok(say(said.into_inner())),
        Ok(Err(status)) => match Problem::from(&status) {
            Problem::Refusal(no) => Answer::Refused(Refused::because(no.reason())),
            _ => Answer::Unknown,
        },
        Err(_) => Answer::Unknown,
    }
}

fn standing(lease: Option<&pb::Lease>, revision: u64) -> Standing {
    let lease = lease.cloned().unwrap_or_default();
    let valid_for = lease.valid_for.as_ref().map(|time| std_from_duration("valid_for", time));
    let valid_for = valid_for.and_then(Result::ok).map(|time| time.as_millis() as u64);
    Standing {
        token: Token::new(lease.token),
        place: None,
        valid_for_ms: valid_for,
        revision: Some(revision),
    }
}

fn renewed(said: pb::RenewResponse) -> Answer<Standing> {
    let revision = said.revision;
    match said.results.into_iter().next().and_then(|item| item.result) {
        Some(pb::renew_result::Result::Claim(claim)) => match claim.standing {
            Some(pb::claim::Standing::Lease(lease)) => Answer::Ok(standing(Some(&lease), revision)),
            Some(pb::claim::Standing::Waiting(_)) | None => Answer::Unknown,
        },
        Some(pb::renew_result::Result::Refused(failure)) => {
            match Failure::from(failure).problem() {
                Problem::Refusal(no) => Answer::Refused(Refused {
                    revision: Some(revision),
                    ..Refused::because(no.reason())
                }),
                _ => Answer::Unknown,
            }
        }
        None => Answer::Unknown,
    }
}
