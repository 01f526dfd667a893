//! Connections: how they are made, and how many are taken.
//!
//! The two places where gRPC meets the network. A caller, be it a client or a peer, is given a
//! [`Connector`]; a server is given a stream of [`incoming`] connections. In use both are TCP; a test
//! that brings its own network puts it in here, and everything above is the same code.
//!
//! Deliberately absent: what is dialled, when, and how often (the callers'), and names (the
//! connector's own).

mod connector;
mod incoming;

pub use connector::{Connecting, Connector, TcpConnector};
pub use incoming::{Connection, Incoming, incoming};
