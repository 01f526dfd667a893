//! What a workload is done to.
//!
//! `leasehold bench` does it to a lease cluster and a store. Another system is measured by the same code,
//! and its figures mean the same, once it implements [`Locks`] or [`Writes`]: see [`crate::run_over`] and
//! [`crate::write_over`].

use std::time::Duration;

use bytes::Bytes;

/// Why an operation did not do what it was asked to: the stable reason of the refusal or fault. It is
/// the outcome under which the operation is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub &'static str);

/// A claim to be made.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is wanted.
    pub resource: String,
    /// Unique: a claim made again has the same.
    pub request: Bytes,
    /// How long the lease lasts without renewal.
    pub ttl: Duration,
    /// How long to wait in line; zero to be refused at once.
    pub wait: Duration,
}

/// What became of the items of one renewal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Those that were renewed.
    pub ok: u64,
    /// Those that were refused.
    pub lost: u64,
    /// For how long all that were renewed are good, from before it was sent.
    pub valid_for: Duration,
}

/// A way to a system in which a resource has one holder at a time. Shared by many clients, unless there
/// is one for each.
pub trait Locks: Clone + Send + Sync + 'static {
    /// What the holder shows when it renews and releases.
    type Held: Clone + Send + Sync + 'static;

    /// Completes when this client is the holder, as the system itself has confirmed.
    fn acquire(&self, ask: Ask) -> impl Future<Output = Result<Self::Held, Failed>> + Send;

    /// How many of these were renewed, and how many were lost.
    fn renew(&self, held: &[Self::Held]) -> impl Future<Output = Result<Renewed, Failed>> + Send;

    /// Completes when this client is no longer the holder, as the system itself has confirmed.
    fn release(
        &self,
        resource: &str,
        held: Self::Held,
    ) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// A fenced write: to be refused when a larger token wrote before.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// What is written to.
    pub resource: &'a str,
    /// The writer's.
    pub token: u64,
    /// Larger than that of the write before.
    pub sequence: u64,
    /// The value.
    pub value: &'a Bytes,
}

/// A way to a system that takes fenced writes. Shared by many clients, unless there is one for each.
pub trait Writes: Clone + Send + Sync + 'static {
    /// Completes when the write is durable.
    fn write(&self, write: Write<'_>) -> impl Future<Output = Result<(), Failed>> + Send;
}
