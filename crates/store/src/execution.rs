//! Where work runs that blocks a thread.

use std::time::Duration;

use tokio::task::JoinError;

/// Where the writer and the reads run: both block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// On threads of their own. For production.
    #[default]
    Threads,
    /// On the runtime's own tasks, each commit taking this long. For a deterministic simulator, which
    /// has neither threads nor a disk that takes time.
    Tasks {
        /// Simulated duration of a commit.
        commit: Duration,
    },
}

impl Execution {
    /// Runs `work` where it delays nobody else. An error means that it panicked.
    pub(crate) async fn run<T, F>(self, work: F) -> Result<T, JoinError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Threads => tokio::task::spawn_blocking(work).await,
            Self::Tasks { .. } => Ok(work()),
        }
    }
}
