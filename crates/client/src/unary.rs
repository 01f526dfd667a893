//! Single requests: for command lines, tools and people. Each follows the leader, asks again with
//! the same ids while the outcome is unknown, and gives up after the client's request timeout.

use std::time::Duration;

use leasehold_api::{Failure, Problem, answer_from_claim, answer_from_lease, pb::lease::v1 as pb};
use leasehold_types::{
    BadField, ClaimAnswer, Fault, FencingToken, Refusal, RequestId, ResourceName, Revision,
};

use crate::config::{Address, CheckedConfig};
use crate::{Client, RequestError};

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// False when the lease had ended before.
    pub was_held: bool,
    /// The state's revision just after.
    pub revision: Revision,
}

/// What became of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// Whether this ended a live claim.
    pub was_live: bool,
    /// The token of the lease that this released, if there was one.
    pub released_token: Option<FencingToken>,
    /// The state's revision just after.
    pub revision: Revision,
}

/// One resource as it stood when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceStatus {
    /// Its name.
    pub resource: ResourceName,
    /// Its lease with what was left of it when it was read; `None` when it is free.
    pub lease: Option<ClaimAnswer>,
    /// Lease time since the grant; `None` when it is free.
    pub held_for: Option<Duration>,
    /// Claims waiting for it.
    pub queue_length: u64,
}

/// All resources with live claims under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// In byte order of their names.
    pub resources: Vec<ResourceStatus>,
    /// The revision at which the first page was read: a watch after it misses nothing.
    pub revision: Revision,
}

/// What a node says of itself and of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The cluster's id.
    pub cluster_id: String,
    /// The node.
    pub node_id: u64,
    /// The node that leads, as far as this one knows.
    pub leader_id: Option<u64>,
    /// Where clients reach the leader, `host:port`, as far as this node knows.
    pub leader_address: Option<String>,
    /// For how long the cluster remembers the request id of a claim that ended.
    pub request_memory: Duration,
}

impl Client {
    /// Moves the deadlines of many claims to now plus their ttl. Answers item by item: first the
    /// tokens, then the request ids, in order. At least one item, at most 5,000.
    ///
    /// # Errors
    /// [`RequestError`]; a claim that has ended is an item's own [`Refusal`].
    pub async fn renew(
        &self,
        tokens: &[FencingToken],
        request_ids: &[RequestId],
    ) -> Result<Vec<Result<ClaimAnswer, Refusal>>, RequestError> {
        let request = pb::RenewRequest {
            tokens: tokens.iter().map(|token| token.get()).collect(),
            request_ids: request_ids.iter().map(|id| id.as_bytes().to_vec().into()).collect(),
        };
        let call = self.caller().ask(|mut client| {
            let request = request.clone();
            async move { client.renew(request).await }
        });
        let answer = call.await?;
        let asked = tokens.len() + request_ids.len();
        if answer.results.len() != asked {
            let why = format!("{} results for {asked} items", answer.results.len());
            return Err(Fault::OutcomeUnknown { why }.into());
        }
        answer.results.into_iter().map(renewed_item).collect()
    }

    /// Ends a lease by its token. It can never end a newer one.
    ///
    /// # Errors
    /// [`Refusal::TokenNotFound`] when it was never issued, [`Refusal::WrongResource`] when it belongs
    /// to another resource; other [`RequestError`]s.
    pub async fn release(
        &self,
        resource: &str,
        token: FencingToken,
    ) -> Result<Released, RequestError> {
        let resource = ResourceName::new(resource)?.to_string();
        let request = pb::ReleaseRequest { resource, token: token.get() };
        let call = self.caller().ask(|mut client| {
            let request = request.clone();
            async move { client.release(request).await }
        });
        let answer = call.await?;
        Ok(Released { was_held: answer.was_held, revision: Revision(answer.revision) })
    }

    /// Ends a claim, waiting or held, by its request id; one not known yet can then never be granted.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn cancel(&self, request: RequestId) -> Result<Cancelled, RequestError> {
        let request = pb::CancelRequest { request_id: request.as_bytes().to_vec().into() };
        let call = self.caller().ask(|mut client| {
            let request = request.clone();
            async move { client.cancel(request).await }
        });
        let answer = call.await?;
        Ok(Cancelled {
            was_live: answer.was_live,
            released_token: FencingToken::new(answer.released_token),
            revision: Revision(answer.revision),
        })
    }

    /// Reads one resource, linearizably.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn get(&self, resource: &str) -> Result<ResourceStatus, RequestError> {
        let resource = ResourceName::new(resource)?;
        let request = pb::GetRequest { resource: resource.to_string() };
        let call = self.caller().ask(|mut client| {
            let request = request.clone();
            async move { client.get(request).await }
        });
        let state = call.await?.state.unwrap_or_default();
        let named = pb::ResourceState { resource: resource.to_string(), ..state };
        Ok(resource_status(named).map_err(unreadable)?)
    }

    /// Reads all resources with live claims whose names start with `prefix`: every page, each
    /// linearizable, not all of one moment.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn list(&self, prefix: &str) -> Result<Listing, RequestError> {
        let mut resources = Vec::new();
        let mut first_revision = None;
        let mut page_token = String::new();
        loop {
            let (prefix, token) = (prefix.to_owned(), page_token.clone());
            let request = pb::ListRequest { prefix, page_size: PAGE_SIZE, page_token: token };
            let call = self.caller().ask(|mut client| {
                let request = request.clone();
                async move { client.list(request).await }
            });
            let page = call.await?;
            let revision = *first_revision.get_or_insert(Revision(page.revision));
            for state in page.resources {
                resources.push(resource_status(state).map_err(unreadable)?);
            }
            if page.next_page_token.is_empty() {
                return Ok(Listing { resources, revision });
            }
            // A page that does not move on would be asked for without end.
            if page.next_page_token <= page_token {
                let why = "a page of the list does not follow the one before".into();
                return Err(Fault::OutcomeUnknown { why }.into());
            }
            page_token = page.next_page_token;
        }
    }

    /// Asks one node, given as `host:port`, what it knows of itself and the cluster.
    ///
    /// # Errors
    /// [`RequestError::BadField`] naming `endpoint`; the fault when it does not answer in time. It is
    /// asked once: a status of a node that is down is that it is down.
    pub async fn status(&self, endpoint: &str) -> Result<NodeStatus, RequestError> {
        let address = Address::new("endpoint", endpoint)?;
        let CheckedConfig { connector, connect_timeout, .. } = self.config();
        Ok(crate::connection::node_status(&**connector, &address, *connect_timeout).await?)
    }
}

const PAGE_SIZE: u32 = 1_000;

fn renewed_item(result: pb::RenewResult) -> Result<Result<ClaimAnswer, Refusal>, RequestError> {
    match result.result {
        Some(pb::renew_result::Result::Claim(claim)) => {
            Ok(Ok(answer_from_claim(&claim).map_err(unreadable)?))
        }
        Some(pb::renew_result::Result::Refused(failure)) => {
            match Failure::from(failure).problem() {
                Problem::Refusal(refusal) => Ok(Err(refusal)),
                other => Err(other.into()),
            }
        }
        None => Err(Fault::OutcomeUnknown { why: "an item without a result".into() }.into()),
    }
}

fn resource_status(state: pb::ResourceState) -> Result<ResourceStatus, BadField> {
    let pb::ResourceState { resource, lease, held_for, queue_length } = state;
    let held_for = held_for
        .map(|held_for| leasehold_api::std_from_duration("held_for", &held_for))
        .transpose()?;
    Ok(ResourceStatus {
        resource: ResourceName::new(&resource)?,
        lease: lease.as_ref().map(answer_from_lease).transpose()?,
        held_for,
        queue_length,
    })
}

/// A server of ours would not have sent it.
pub(crate) fn unreadable(bad: BadField) -> Fault {
    Fault::OutcomeUnknown { why: format!("an unreadable answer: {bad}") }
}
