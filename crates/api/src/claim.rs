//! Claims and events, both ways.

use bytes::Bytes;
use leasehold_types::{
    BadField, ClaimAnswer, EndReason, Event, EventKind, FencingToken, Holder, LeaseTtl, RequestId,
    ResourceName, Standing,
};

use crate::pb::lease::v1 as pb;
use crate::{duration_from_ms, std_from_duration};

fn id_to_wire(request: RequestId) -> Bytes {
    Bytes::copy_from_slice(request.as_bytes())
}

/// A held claim as a wire lease; `None` when it waits.
pub fn lease_from_answer(claim: &ClaimAnswer) -> Option<pb::Lease> {
    let Standing::Held { token } = claim.standing else { return None };
    Some(pb::Lease {
        resource: claim.resource.as_str().to_owned(),
        token: token.get(),
        holder: claim.holder.as_str().to_owned(),
        ttl: Some(duration_from_ms(claim.ttl.as_ms())),
        valid_for: Some(duration_from_ms(claim.valid_for_ms)),
        request_id: id_to_wire(claim.request),
    })
}

/// A live claim on the wire.
pub fn claim_from_answer(claim: &ClaimAnswer) -> pb::Claim {
    let standing = match (lease_from_answer(claim), claim.standing) {
        (Some(lease), _) => pb::claim::Standing::Lease(lease),
        (None, Standing::Waiting { place }) => pb::claim::Standing::Waiting(pb::Waiting {
            resource: claim.resource.as_str().to_owned(),
            place,
            holder: claim.holder.as_str().to_owned(),
            ttl: Some(duration_from_ms(claim.ttl.as_ms())),
            valid_for: Some(duration_from_ms(claim.valid_for_ms)),
            request_id: id_to_wire(claim.request),
        }),
        (None, Standing::Held { .. }) => unreachable!("a held claim is a lease"),
    };
    pb::Claim { standing: Some(standing) }
}

/// A live claim from the wire.
///
/// # Errors
/// [`BadField`] for whatever a server of ours would not have sent.
pub fn answer_from_claim(claim: &pb::Claim) -> Result<ClaimAnswer, BadField> {
    match &claim.standing {
        Some(pb::claim::Standing::Lease(lease)) => answer_from_lease(lease),
        Some(pb::claim::Standing::Waiting(waiting)) => Ok(ClaimAnswer {
            resource: ResourceName::new(&waiting.resource)?,
            holder: Holder::new(&waiting.holder)?,
            request: RequestId::from_slice(&waiting.request_id)?,
            ttl: ttl_from_wire(waiting.ttl.as_ref())?,
            standing: Standing::Waiting { place: waiting.place },
            valid_for_ms: valid_for_from_wire(waiting.valid_for.as_ref())?,
        }),
        None => Err(BadField::new("claim.standing", "nothing", "a lease or a waiting claim")),
    }
}

/// A lease from the wire.
///
/// # Errors
/// [`BadField`] for whatever a server of ours would not have sent.
pub fn answer_from_lease(lease: &pb::Lease) -> Result<ClaimAnswer, BadField> {
    Ok(ClaimAnswer {
        resource: ResourceName::new(&lease.resource)?,
        holder: Holder::new(&lease.holder)?,
        request: RequestId::from_slice(&lease.request_id)?,
        ttl: ttl_from_wire(lease.ttl.as_ref())?,
        standing: Standing::Held { token: FencingToken::from_wire(lease.token)? },
        valid_for_ms: valid_for_from_wire(lease.valid_for.as_ref())?,
    })
}

/// A ttl that must be there.
pub(crate) fn ttl_from_wire(raw: Option<&prost_types::Duration>) -> Result<LeaseTtl, BadField> {
    let raw = raw.ok_or_else(|| BadField::new("ttl", "nothing", "1 ms to 24 h"))?;
    LeaseTtl::from_duration(std_from_duration("ttl", raw)?)
}

fn valid_for_from_wire(raw: Option<&prost_types::Duration>) -> Result<u64, BadField> {
    let raw = raw.ok_or_else(|| BadField::new("valid_for", "nothing", "a duration"))?;
    let duration = std_from_duration("valid_for", raw)?;
    Ok(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// An event on the wire.
pub fn event_to_wire(event: &Event) -> pb::Event {
    let (kind, token, ttl) = match &event.kind {
        EventKind::Granted { token, ttl, .. } => {
            (pb::EventKind::Granted, token.get(), Some(duration_from_ms(ttl.as_ms())))
        }
        EventKind::Queued { ttl, .. } => {
            (pb::EventKind::Queued, 0, Some(duration_from_ms(ttl.as_ms())))
        }
        EventKind::Ended { token, why } => {
            let kind = match why {
                EndReason::Released | EndReason::Cancelled => pb::EventKind::Released,
                EndReason::Expired | EndReason::WaitOver => pb::EventKind::Expired,
            };
            (kind, token.map_or(0, FencingToken::get), None)
        }
    };
    pb::Event {
        revision: event.revision.0,
        kind: kind.into(),
        resource: event.resource.as_str().to_owned(),
        holder: event.holder.as_str().to_owned(),
        request_id: id_to_wire(event.request),
        token,
        ttl,
    }
}
