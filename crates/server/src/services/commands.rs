//! Renew, Release and Cancel: one command, one answer.

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{CheckedRelease, Problem};
use leasehold_core::{Command, Outcome};
use leasehold_raft::AsyncRuntime;
use leasehold_types::{Renew, RequestId};

use super::{Services, answers};

impl<RT: AsyncRuntime> Services<RT> {
    pub(super) async fn renew_many(
        &self,
        request: pb::RenewRequest,
    ) -> Result<pb::RenewResponse, Problem> {
        let renew = Renew::try_from(request)?;
        let renewed = answers::renewed(self.outcome_of(Command::Renew(renew)).await?)?;
        Ok(pb::RenewResponse::from(&renewed))
    }

    pub(super) async fn release_one(
        &self,
        request: pb::ReleaseRequest,
    ) -> Result<pb::ReleaseResponse, Problem> {
        let CheckedRelease { resource, token } = request.try_into()?;
        answers::released(self.outcome_of(Command::Release { resource, token }).await?)
    }

    pub(super) async fn cancel_one(
        &self,
        request: pb::CancelRequest,
    ) -> Result<pb::CancelResponse, Problem> {
        let request = RequestId::try_from(request)?;
        answers::cancelled(self.outcome_of(Command::Cancel { request }).await?)
    }

    async fn outcome_of(&self, command: Command) -> Result<Outcome, Problem> {
        self.refuse_when_stopping()?;
        Ok(self.node.propose(command)?.await?)
    }
}
