//! Where tracing goes: to stderr, set up once.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::chain::one_line;
use crate::exit::Failure;

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Starts logging what `filter` lets through.
pub(crate) fn start(filter: &str, lines: Lines) -> Result<(), Failure> {
    let allowed = EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage(format!("--log: {filter:?} is not allowed: {error}")))?;
    let to_stderr = fmt()
        .with_env_filter(allowed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match lines {
        Lines::Text => to_stderr.try_init(),
        Lines::Json => to_stderr.json().try_init(),
    };
    started.map_err(|error| Failure::other(one_line(&*error)))
}
