//! Who and what: resource names, holders, request ids.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;

use crate::BadField;

/// Longest resource name, in bytes of UTF-8.
pub const RESOURCE_NAME_BYTES_MAX: usize = 256;

/// Longest holder, in bytes of UTF-8.
pub const HOLDER_BYTES_MAX: usize = 256;

/// What is protected: 1 to 256 bytes of UTF-8 without control characters. `/` separates segments, by
/// convention only; a prefix is matched byte by byte.
///
/// Cheap to clone: the text is shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName(Arc<str>);

impl ResourceName {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadField`] naming `resource` when the text is empty, too long, or has a control character.
    pub fn new(text: &str) -> Result<Self, BadField> {
        const ALLOWED: &str = "1 to 256 bytes of UTF-8 without control characters";
        if text.is_empty() || text.len() > RESOURCE_NAME_BYTES_MAX {
            return Err(BadField::new("resource", format!("{} bytes", text.len()), ALLOWED));
        }
        refuse_control_characters("resource", text, ALLOWED)?;
        Ok(Self(Arc::from(text)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who claims, for humans: `host/pid/name`. At most 256 bytes, may be empty. Never used for decisions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder(Arc<str>);

impl Holder {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadField`] naming `holder` when the text is too long or has a control character.
    pub fn new(text: &str) -> Result<Self, BadField> {
        const ALLOWED: &str = "at most 256 bytes of UTF-8 without control characters";
        if text.len() > HOLDER_BYTES_MAX {
            return Err(BadField::new("holder", format!("{} bytes", text.len()), ALLOWED));
        }
        refuse_control_characters("holder", text, ALLOWED)?;
        Ok(Self(Arc::from(text)))
    }

    /// The holder as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn refuse_control_characters(
    field: &'static str,
    text: &str,
    allowed: &'static str,
) -> Result<(), BadField> {
    // What nearly every name is made of. Without a branch for each byte it is a few instructions.
    if text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        None => Ok(()),
        Some((at, c)) => {
            let got = format!("control character U+{:04X} at byte {at}", u32::from(c));
            Err(BadField::new(field, got, allowed))
        }
    }
}

/// A client's own name for one claim: 128 random bits.
///
/// The client chooses it before the first attempt and repeats it with every retry, so that a lost
/// answer never becomes a second claim (ZOOKEEPER-1262 is what happens otherwise).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// Takes the 16 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Takes a slice of exactly 16 bytes.
    ///
    /// # Errors
    /// [`BadField`] naming `request_id` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BadField> {
        <[u8; 16]>::try_from(bytes).map(Self).map_err(|_| {
            BadField::new("request_id", format!("{} bytes", bytes.len()), "exactly 16 random bytes")
        })
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

macro_rules! text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadField;
            fn try_from(text: String) -> Result<Self, BadField> {
                Self::new(&text)
            }
        }
    };
}
text!(ResourceName);
text!(Holder);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_resource_name_has_one_to_256_bytes_and_no_control_characters() {
        assert!(ResourceName::new("jobs/nightly").is_ok());
        assert!(ResourceName::new(&"x".repeat(256)).is_ok());
        for bad in ["", &"x".repeat(257), "a\nb", "a\u{7f}", "\u{85}"] {
            let complaint = ResourceName::new(bad).expect_err("outside the bounds");
            assert_eq!(complaint.field, "resource");
        }
    }

    #[test]
    fn a_complaint_says_what_came_and_what_is_allowed() {
        let complaint = ResourceName::new("a\tb").expect_err("has a tab").to_string();
        assert_eq!(
            complaint,
            "resource: control character U+0009 at byte 1 is not allowed: \
             1 to 256 bytes of UTF-8 without control characters"
        );
    }

    #[test]
    fn a_request_id_is_exactly_sixteen_bytes() {
        assert!(RequestId::from_slice(&[7; 16]).is_ok());
        for length in [0, 15, 17] {
            let bytes = alloc::vec![0; length];
            assert_eq!(RequestId::from_slice(&bytes).expect_err("wrong size").field, "request_id");
        }
    }
}
