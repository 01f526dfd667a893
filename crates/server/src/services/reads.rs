//! Get and List: a read point, then this node's own state.

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{CheckedList, Problem, duration_from_ms, lease_from_answer};
use leasehold_core::{LeaseState, ResourceView};
use leasehold_raft::AsyncRuntime;
use leasehold_types::ResourceName;

use super::Services;

impl<RT: AsyncRuntime> Services<RT> {
    pub(super) async fn get_one(
        &self,
        request: pb::GetRequest,
    ) -> Result<pb::GetResponse, Problem> {
        let resource = ResourceName::try_from(request)?;
        let name = resource.clone();
        let (view, revision) =
            self.read(move |state| (state.get(name.as_str()), state.revision())).await?;
        let state = match &view {
            Some(view) => taken(view),
            None => pb::ResourceState { resource: resource.to_string(), ..Default::default() },
        };
        Ok(pb::GetResponse { state: Some(state), revision: revision.0 })
    }

    pub(super) async fn list_page(
        &self,
        request: pb::ListRequest,
    ) -> Result<pb::ListResponse, Problem> {
        let CheckedList { prefix, page_size, after } = request.try_into()?;
        // One more than the page holds tells whether there is a next page.
        let (mut views, revision) = self
            .read(move |state| {
                let after = after.as_ref().map(ResourceName::as_str);
                (state.list(&prefix, after, page_size + 1), state.revision())
            })
            .await?;
        let more = views.len() > page_size;
        views.truncate(page_size);
        let last = views.last().filter(|_| more).map(|view| view.lease.resource.to_string());
        Ok(pb::ListResponse {
            resources: views.iter().map(taken).collect(),
            next_page_token: last.unwrap_or_default(),
            revision: revision.0,
        })
    }

    /// Reads linearizably.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&LeaseState) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.refuse_when_stopping()?;
        self.node.barrier().await?;
        Ok(self.node.query(read).await?)
    }
}

fn taken(view: &ResourceView) -> pb::ResourceState {
    pb::ResourceState {
        resource: view.lease.resource.to_string(),
        lease: lease_from_answer(&view.lease),
        held_for: Some(duration_from_ms(view.held_for_ms)),
        queue_length: view.queue_length,
    }
}
