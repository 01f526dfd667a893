//! The one flag that says: take nothing new, bring to an end what is open.

use tokio::sync::watch;

/// Everybody's view of the flag. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<bool>);

/// Whoever has this decides.
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<bool>);

/// A flag that is not set.
pub(crate) fn stopping() -> (Stopper, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stopping(receiver))
}

impl Stopper {
    /// Sets the flag, for good.
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    pub(crate) fn is_on(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the flag is set, or whoever could set it is gone.
    pub(crate) async fn begun(&self) {
        // The only error is that the sender is gone, which says the same.
        let _ = self.0.clone().wait_for(|on| *on).await;
    }
}
