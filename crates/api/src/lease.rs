//! Requests to the lease server, checked.

use leasehold_types::{
    Acquire, BadField, FencingToken, Holder, Renew, RequestId, ResourceName, Revision, WaitLimit,
};

use crate::claim::ttl_from_wire;
use crate::pb::lease::v1 as pb;
use crate::std_from_duration;

/// Most items in one renewal: the answer, with the longest names, has 3 MiB and so fits into the 4 MiB
/// that gRPC libraries take by default.
pub const RENEW_ITEMS_MAX: usize = 5_000;
/// Longest prefix of a list or a watch, in bytes.
pub const PREFIX_BYTES_MAX: usize = 256;
const LIST_PAGE_DEFAULT: u32 = 100;
const LIST_PAGE_MAX: u32 = 1_000;

impl TryFrom<pb::AcquireRequest> for Acquire {
    type Error = BadField;

    fn try_from(raw: pb::AcquireRequest) -> Result<Self, BadField> {
        let pb::AcquireRequest { resource, holder, request_id, ttl, wait } = raw;
        let wait = match wait {
            None => WaitLimit::NONE,
            Some(raw) => WaitLimit::from_duration(std_from_duration("wait", &raw)?)?,
        };
        Ok(Self {
            resource: ResourceName::new(&resource)?,
            holder: Holder::new(&holder)?,
            request: RequestId::from_slice(&request_id)?,
            ttl: ttl_from_wire(ttl.as_ref())?,
            wait,
        })
    }
}

impl TryFrom<pb::RenewRequest> for Renew {
    type Error = BadField;

    fn try_from(raw: pb::RenewRequest) -> Result<Self, BadField> {
        let pb::RenewRequest { tokens, request_ids } = raw;
        let count = tokens.len() + request_ids.len();
        if !(1..=RENEW_ITEMS_MAX).contains(&count) {
            let got = format!("{count} items");
            return Err(BadField::new("tokens", got, "1 to 5,000 tokens and request ids together"));
        }
        let tokens = tokens.into_iter().enumerate().map(|(at, token)| {
            FencingToken::from_wire(token)
                .map_err(|bad| BadField { field: format!("tokens[{at}]").into(), ..bad })
        });
        let requests = request_ids.iter().enumerate().map(|(at, id)| {
            RequestId::from_slice(id)
                .map_err(|bad| BadField { field: format!("request_ids[{at}]").into(), ..bad })
        });
        Ok(Self {
            tokens: tokens.collect::<Result<_, _>>()?,
            requests: requests.collect::<Result<_, _>>()?,
        })
    }
}

/// A checked release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRelease {
    /// The resource the caller believes the token is for.
    pub resource: ResourceName,
    /// The lease's token.
    pub token: FencingToken,
}

impl TryFrom<pb::ReleaseRequest> for CheckedRelease {
    type Error = BadField;

    fn try_from(raw: pb::ReleaseRequest) -> Result<Self, BadField> {
        let pb::ReleaseRequest { resource, token } = raw;
        let resource = ResourceName::new(&resource)?;
        Ok(Self { resource, token: FencingToken::from_wire(token)? })
    }
}

impl TryFrom<pb::CancelRequest> for RequestId {
    type Error = BadField;

    fn try_from(raw: pb::CancelRequest) -> Result<Self, BadField> {
        let pb::CancelRequest { request_id } = raw;
        Self::from_slice(&request_id)
    }
}

impl TryFrom<pb::GetRequest> for ResourceName {
    type Error = BadField;

    fn try_from(raw: pb::GetRequest) -> Result<Self, BadField> {
        let pb::GetRequest { resource } = raw;
        Self::new(&resource)
    }
}

/// A checked list: one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedList {
    /// Names start with this.
    pub prefix: String,
    /// Resources per page.
    pub page_size: usize,
    /// The last name of the page before.
    pub after: Option<ResourceName>,
}

impl TryFrom<pb::ListRequest> for CheckedList {
    type Error = BadField;

    fn try_from(raw: pb::ListRequest) -> Result<Self, BadField> {
        let pb::ListRequest { prefix, page_size, page_token } = raw;
        let after = match page_token.as_str() {
            "" => None,
            token => Some(ResourceName::new(token).map_err(|bad| BadField {
                field: "page_token".into(),
                allowed: "empty, or the next_page_token of the page before".into(),
                ..bad
            })?),
        };
        let prefix = checked_prefix(prefix, PREFIX_BYTES_MAX)?;
        Ok(Self { prefix, page_size: checked_page_size(page_size)?, after })
    }
}

pub(crate) fn checked_prefix(prefix: String, bytes_max: usize) -> Result<String, BadField> {
    if prefix.len() > bytes_max {
        let allowed = format!("at most {bytes_max} bytes");
        return Err(BadField::new("prefix", format!("{} bytes", prefix.len()), allowed));
    }
    Ok(prefix)
}

pub(crate) fn checked_page_size(page_size: u32) -> Result<usize, BadField> {
    match page_size {
        0 => Ok(LIST_PAGE_DEFAULT as usize),
        size if size <= LIST_PAGE_MAX => Ok(size as usize),
        size => Err(BadField::new("page_size", size.to_string(), "1 to 1,000, or 0 for 100")),
    }
}

/// A checked watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedWatch {
    /// Names start with this.
    pub prefix: String,
    /// Send what happened after this revision; `None`: from now on.
    pub after: Option<Revision>,
}

impl TryFrom<pb::WatchRequest> for CheckedWatch {
    type Error = BadField;

    fn try_from(raw: pb::WatchRequest) -> Result<Self, BadField> {
        let pb::WatchRequest { prefix, after_revision } = raw;
        let prefix = checked_prefix(prefix, PREFIX_BYTES_MAX)?;
        Ok(Self { prefix, after: after_revision.map(Revision) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Duration;

    fn good() -> pb::AcquireRequest {
        pb::AcquireRequest {
            resource: "r".into(),
            holder: "h".into(),
            request_id: vec![1; 16].into(),
            ttl: Some(Duration { seconds: 10, nanos: 0 }),
            wait: None,
        }
    }

    #[test]
    fn every_bad_field_of_an_acquire_is_named() {
        let duration = |seconds, nanos| Some(Duration { seconds, nanos });
        assert!(Acquire::try_from(good()).is_ok());
        let cases = [
            (pb::AcquireRequest { resource: String::new(), ..good() }, "resource"),
            (pb::AcquireRequest { resource: "x".repeat(257), ..good() }, "resource"),
            (pb::AcquireRequest { holder: "x".repeat(257), ..good() }, "holder"),
            (pb::AcquireRequest { holder: "a\u{0}".into(), ..good() }, "holder"),
            (pb::AcquireRequest { request_id: vec![1; 15].into(), ..good() }, "request_id"),
            (pb::AcquireRequest { ttl: None, ..good() }, "ttl"),
            (pb::AcquireRequest { ttl: duration(0, 0), ..good() }, "ttl"),
            (pb::AcquireRequest { ttl: duration(-1, 0), ..good() }, "ttl"),
            (pb::AcquireRequest { ttl: duration(1, -1), ..good() }, "ttl"),
            (pb::AcquireRequest { ttl: duration(i64::MAX, 999_999_999), ..good() }, "ttl"),
            (pb::AcquireRequest { wait: duration(-1, 0), ..good() }, "wait"),
            (pb::AcquireRequest { wait: duration(86_401, 0), ..good() }, "wait"),
        ];
        for (request, field) in cases {
            let bad = Acquire::try_from(request).expect_err(field);
            assert_eq!(bad.field, field);
        }
    }

    #[test]
    fn a_bad_item_of_a_renewal_is_named_with_its_position() {
        let renew = pb::RenewRequest { tokens: vec![1, 0], request_ids: vec![] };
        assert_eq!(Renew::try_from(renew).expect_err("zero").field, "tokens[1]");
        let renew = pb::RenewRequest { tokens: vec![], request_ids: vec![vec![1; 3].into()] };
        assert_eq!(Renew::try_from(renew).expect_err("short").field, "request_ids[0]");
        let empty = pb::RenewRequest::default();
        assert_eq!(Renew::try_from(empty).expect_err("nothing").field, "tokens");
        let many = pb::RenewRequest { tokens: vec![1; 5_001], request_ids: vec![] };
        assert_eq!(Renew::try_from(many).expect_err("too many").field, "tokens");
    }

    #[test]
    fn a_page_has_one_to_a_thousand_resources() {
        assert_eq!(checked_page_size(0), Ok(100));
        assert_eq!(checked_page_size(1_000), Ok(1_000));
        assert_eq!(checked_page_size(1_001).expect_err("too many").field, "page_size");
        let long = pb::ListRequest { prefix: "x".repeat(257), ..Default::default() };
        assert_eq!(CheckedList::try_from(long).expect_err("too long").field, "prefix");
    }
}
