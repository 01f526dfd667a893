//! What the store does after its disk failed: nothing, and everybody can see why.

use std::sync::Arc;

use leasehold_types::Fault;
use tokio::sync::watch;

/// Set once, by the first failure, and never opened again in this process.
#[derive(Clone, Debug)]
pub(crate) struct Latch {
    why: Arc<watch::Sender<Option<String>>>,
}

impl Latch {
    pub(crate) fn new() -> Self {
        Self { why: Arc::new(watch::Sender::new(None)) }
    }

    /// The first reason stays.
    pub(crate) fn close(&self, why: String) {
        self.why.send_if_modified(|kept| {
            let first = kept.is_none();
            if first {
                *kept = Some(why);
            }
            first
        });
    }

    /// What to answer instead of serving.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.why.borrow().clone().map(|why| Fault::Storage { why })
    }

    /// Waits until it closes, and says why it did.
    pub(crate) async fn closed(&self) -> String {
        let mut watched = self.why.subscribe();
        let why = watched.wait_for(Option::is_some).await.map(|why| why.clone());
        why.ok().flatten().expect("this latch holds the sender, and the wait was for a reason")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let latch = Latch::new();
        assert_eq!(latch.fault(), None);
        latch.close("first".into());
        latch.close("second".into());
        assert_eq!(latch.closed().await, "first");
        assert_eq!(latch.fault(), Some(Fault::Storage { why: "first".into() }));
    }
}
