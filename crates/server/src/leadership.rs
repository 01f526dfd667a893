//! What clients are told about who leads: the leader's name, and whether asking here makes sense.
//!
//! A node's status changes with every batch, leadership hardly ever. One task looks at the first so
//! that sessions and health checks need to look only at the second.

use leasehold_api::pb::lease::v1::lease_service_server::LeaseServiceServer;
use leasehold_raft::{AsyncRuntime, Member, NodeStatus, TokioRuntime, Watched};
use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::services::Services;
use crate::stopping::Stopping;

/// The name under which health is reported.
const SERVICE: &str = <LeaseServiceServer<Services<TokioRuntime>> as NamedService>::NAME;

/// Tells the leader and the health. Ends with the node; when the node is told to stop, the health
/// checks end before.
pub(crate) async fn follow<RT: AsyncRuntime>(
    mut status: Watched<RT, NodeStatus>,
    health: HealthReporter,
    stopping: Stopping,
    leader: watch::Sender<Option<Member>>,
) {
    let mut reported = None;
    loop {
        let now = look(&mut status, &leader);
        if reported != Some(now) {
            health.set_service_status(SERVICE, now).await;
            reported = Some(now);
        }
        tokio::select! {
            changed = status.changed() => if changed.is_err() { break },
            () = stopping.begun() => break,
        }
    }
    end_health_checks(health).await;
}

fn look<RT: AsyncRuntime>(
    status: &mut Watched<RT, NodeStatus>,
    leader: &watch::Sender<Option<Member>>,
) -> ServingStatus {
    let status = status.borrow_and_update();
    leader.send_if_modified(|told| {
        let changed = *told != status.leader;
        if changed {
            told.clone_from(&status.leader);
        }
        changed
    });
    match status.serving && status.has_quorum {
        true => ServingStatus::Serving,
        false => ServingStatus::NotServing,
    }
}

/// Says no, and then nothing more, so that those who watch do not hold up the end.
async fn end_health_checks(mut health: HealthReporter) {
    for service in ["", SERVICE] {
        health.set_service_status(service, ServingStatus::NotServing).await;
        health.clear_service_status(service).await;
    }
}
