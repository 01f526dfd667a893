//! Where work runs that blocks a thread.

use std::io;
use std::time::Duration;

use openraft_rt::AsyncRuntime;

/// Where work runs that blocks a thread: syncs, and the encoding and decoding of snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// On threads of its own. For production.
    #[default]
    Threads,
    /// On the runtime's own tasks, each sync of the log taking this long. For a deterministic
    /// simulator, which has neither threads nor a disk that takes time.
    Tasks {
        /// Simulated duration of a sync.
        sync: Duration,
    },
}

impl Execution {
    /// Runs `work` where it delays nobody else.
    pub(crate) async fn run<RT, T, F>(self, work: F) -> io::Result<T>
    where
        RT: AsyncRuntime,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Threads => RT::spawn_blocking(work).await,
            Self::Tasks { sync } => {
                RT::sleep(sync).await;
                Ok(work())
            }
        }
    }
}
