//! The storage daemon that refuses stale tokens.
