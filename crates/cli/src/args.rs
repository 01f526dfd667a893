//! The command line: what is common to all verbs, and the list of verbs. Each verb's own arguments
//! and help are beside its code.

use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::exit;
use crate::lock::{gate::GateArgs, watchdog::WatchdogArgs};
use crate::output::Format;
use crate::verbs;

/// Leases with fencing tokens, and a store that refuses stale ones.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, max_term_width = 100, after_help = exit::HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Lease nodes, any of them, separated by commas; the leader is found from there
    #[arg(
        long,
        global = true,
        env = "LEASEHOLD_ENDPOINTS",
        value_delimiter = ',',
        value_parser = trimmed,
        value_name = "HOST:PORT,..."
    )]
    pub(crate) endpoints: Vec<String>,

    /// The store
    #[arg(long, global = true, env = "LEASEHOLD_STORE", value_name = "HOST:PORT")]
    pub(crate) store: Option<String>,

    /// For scripts (text), for programs (json: one object a line), or figures (csv: only bench)
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORM")]
    pub(crate) output: Format,

    /// How long a request may go unanswered before it fails with 69
    #[arg(long, global = true, default_value = "10s", value_name = "DURATION", value_parser = timeout, allow_hyphen_values = true)]
    pub(crate) timeout: Duration,

    /// What to log to stderr, such as "debug" or "info,leasehold_client=trace"
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Acquire(verbs::acquire::AcquireArgs),
    Renew(verbs::renew::RenewArgs),
    Release(verbs::release::ReleaseArgs),
    Get(verbs::get::GetArgs),
    List(verbs::list::ListArgs),
    Watch(verbs::watch::WatchArgs),
    Lock(verbs::lock::LockArgs),
    Data(verbs::data::DataArgs),
    Status(verbs::status::StatusArgs),
    Dev(verbs::dev::DevArgs),
    Demo(verbs::demo::DemoArgs),
    Bench(verbs::bench::BenchArgs),
    Server(verbs::server::ServerArgs),
    Store(verbs::store::StoreArgs),
    Completions(verbs::completions::CompletionsArgs),
    /// Guards the command of `lock`.
    #[command(hide = true)]
    Watchdog(WatchdogArgs),
    /// Becomes the command of `lock`.
    #[command(hide = true)]
    Gate(GateArgs),
    /// Plays a client in `demo`.
    #[command(hide = true)]
    Actor(crate::demo::actor::ActorArgs),
}

/// A duration as people write it: `30s`, `1m 30s`, `250ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 30s, 250ms or 1m30s"))
}

fn timeout(text: &str) -> Result<Duration, String> {
    const ALLOWED: std::ops::RangeInclusive<Duration> =
        Duration::from_millis(1)..=Duration::from_secs(3_600);
    let timeout = duration(text)?;
    ALLOWED.contains(&timeout).then_some(timeout).ok_or_else(|| "1ms to 1h is allowed".to_owned())
}

/// A list may be written with spaces.
fn trimmed(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn endpoints_may_be_written_with_spaces() {
        let cli = Cli::parse_from(["leasehold", "--endpoints", "a:1, b:2 ,c:3", "status"]);
        assert_eq!(cli.common.endpoints, ["a:1", "b:2", "c:3"]);
    }

    #[test]
    fn a_timeout_out_of_its_bounds_is_refused_by_its_own_name() {
        for timeout in ["0s", "61m"] {
            let parsed = Cli::try_parse_from(["leasehold", "--timeout", timeout, "status"]);
            let error = parsed.expect_err("out of bounds").to_string();
            assert!(error.contains("--timeout") && error.contains("1ms to 1h"), "{error}");
        }
    }

    #[test]
    fn every_verb_that_is_shown_has_an_example() {
        let command = Cli::command();
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let help = verb.clone().render_long_help().to_string();
            let example = format!("leasehold {}", verb.get_name());
            assert!(help.contains(&example) && help.contains("Examples:"), "{}", verb.get_name());
        }
    }
}
