//! What is said when a value does not fit its field.

use alloc::borrow::Cow;
use alloc::string::String;

/// A value that its field does not allow.
///
/// Shown as `resource: 300 bytes is not allowed: 1 to 256 bytes of UTF-8 without control characters`,
/// so that whoever sent it can mend it without reading a manual.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {got} is not allowed: {allowed}")]
pub struct BadField {
    /// The field as it is spelled on the wire or in the config file, with its path where it is nested.
    pub field: Cow<'static, str>,
    /// What came, shortened where it is long.
    pub got: String,
    /// What is allowed, as a phrase.
    pub allowed: Cow<'static, str>,
}

impl BadField {
    /// Names the field, what came, and what is allowed.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        got: impl Into<String>,
        allowed: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), got: got.into(), allowed: allowed.into() }
    }

    /// The same complaint about a field nested in `parent`, as `parent.field`.
    #[must_use]
    pub fn inside(self, parent: &str) -> Self {
        let field = alloc::format!("{parent}.{}", self.field);
        Self { field: field.into(), ..self }
    }
}
