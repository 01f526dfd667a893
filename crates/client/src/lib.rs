//! The client library: leases that always know whether they may still act.
