//! A value that changes, and those who wait for its changes: the runtime's own watch.
//!
//! Not tokio's, although every node runs on tokio: that one wakes its waiters in an order drawn at
//! random, so that a simulated run could not be repeated. What the runtime brings is deterministic
//! where the runtime is, and is tokio's on tokio.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use openraft_rt::AsyncRuntime;
use openraft_rt::watch::{Watch, WatchReceiver, WatchSender};

type Sender<RT, T> = <<RT as AsyncRuntime>::Watch as Watch>::Sender<T>;
type Receiver<RT, T> = <<RT as AsyncRuntime>::Watch as Watch>::Receiver<T>;
type Ref<'a, RT, T> = <<RT as AsyncRuntime>::Watch as Watch>::Ref<'a, T>;

/// Whoever changed the value is gone: it will not change any more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value will not change any more")]
pub struct Unchanging;

/// Where a value is changed.
pub(crate) struct Changing<RT: AsyncRuntime, T: Send + Sync> {
    /// Not every runtime's sender can be shared between threads as it is.
    sender: Mutex<Sender<RT, T>>,
    watched: Watched<RT, T>,
}

/// Where a value is read and waited for. Each clone remembers what it has seen.
pub struct Watched<RT: AsyncRuntime, T: Send + Sync>(Receiver<RT, T>);

/// A value and its first watcher.
pub(crate) fn watched<RT: AsyncRuntime, T: Send + Sync>(
    first: T,
) -> (Changing<RT, T>, Watched<RT, T>) {
    let (sender, receiver) = RT::Watch::channel(first);
    let watched = Watched(receiver);
    (Changing { sender: Mutex::new(sender), watched: watched.clone() }, watched)
}

impl<RT: AsyncRuntime, T: Send + Sync> Changing<RT, T> {
    /// Replaces the value, whether somebody watches or not.
    pub(crate) fn send_replace(&self, value: T) {
        self.send_if_modified(|current| {
            *current = value;
            true
        });
    }

    /// Changes the value; watchers are woken when `change` says that it did.
    pub(crate) fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).send_if_modified(change);
    }

    /// The value now. Held shortly: changes wait meanwhile.
    pub(crate) fn borrow(&self) -> Ref<'_, RT, T> {
        self.watched.borrow()
    }
}

impl<RT: AsyncRuntime, T: Send + Sync> Watched<RT, T> {
    /// The value now. Held shortly: changes wait meanwhile.
    pub fn borrow(&self) -> Ref<'_, RT, T> {
        self.0.borrow_watched()
    }

    /// [`Watched::borrow`], and what is seen counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, RT, T> {
        self.0.borrow_and_update()
    }

    /// Resolves at the next change that was not seen yet.
    ///
    /// # Errors
    /// [`Unchanging`].
    pub async fn changed(&mut self) -> Result<(), Unchanging> {
        self.0.changed().await.map_err(|_| Unchanging)
    }

    /// Resolves as soon as the value is as wished.
    ///
    /// # Errors
    /// [`Unchanging`].
    pub async fn wait_for(&mut self, wished: impl Fn(&T) -> bool) -> Result<T, Unchanging>
    where
        T: Clone,
    {
        loop {
            {
                let value = self.borrow_and_update();
                if wished(&value) {
                    return Ok(value.clone());
                }
            }
            self.changed().await?;
        }
    }
}

// Written by hand: a derive would ask `RT` for what only the channel needs.
impl<RT: AsyncRuntime, T: Send + Sync> Clone for Watched<RT, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<RT: AsyncRuntime, T: Send + Sync + fmt::Debug> fmt::Debug for Changing<RT, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Changing").field(&*self.borrow()).finish()
    }
}

impl<RT: AsyncRuntime, T: Send + Sync + fmt::Debug> fmt::Debug for Watched<RT, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&*self.borrow()).finish()
    }
}
