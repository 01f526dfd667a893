//! One Session stream: dialled, welcomed, read.

use std::time::Duration;

use leasehold_types::Fault;

use crate::config::Address;
use crate::unary::NodeStatus;

pub(crate) async fn node_status(address: &Address, timeout: Duration) -> Result<NodeStatus, Fault> {
    todo!("{address} {timeout:?}")
}
