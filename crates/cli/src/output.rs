//! What goes to stdout: in text what a script wants and nothing else, in JSON one object a line.
//! Everything said to people goes to stderr.

use std::io::{self, Write};

use serde::Serialize;

use crate::exit::Failure;

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For scripts and people.
    Text,
    /// One object a line.
    Json,
    /// Comma-separated values with a header; only of figures (`bench`).
    Csv,
}

/// Something to print. Its JSON is its `Serialize`, and its field names are part of the interface.
pub(crate) trait Show: Serialize {
    /// As text, without a newline at the end; empty prints nothing at all.
    fn text(&self) -> String;
}

impl Format {
    /// Prints one thing on stdout.
    pub(crate) fn show(self, shown: &impl Show) -> Result<(), Failure> {
        let text = match self {
            Self::Text | Self::Csv => shown.text(),
            Self::Json => serde_json::to_string(shown).map_err(Failure::because)?,
        };
        if text.is_empty() { Ok(()) } else { print_line(&text) }
    }

    /// Tells on stderr why a verb did not do what it was asked.
    pub(crate) fn complain(self, failure: &Failure) {
        let line = match self {
            Self::Text | Self::Csv => format!("leasehold: {failure}"),
            Self::Json => serde_json::json!({
                "error": failure.message,
                "reason": failure.reason,
                "exit": failure.code,
            })
            .to_string(),
        };
        say(&line);
    }
}

/// A line on stdout, flushed.
pub(crate) fn print_line(text: &str) -> Result<(), Failure> {
    print_bytes(format!("{text}\n").as_bytes())
}

/// Bytes on stdout as they are, flushed.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::new(crate::exit::OTHER, "OUTPUT", format!("stdout: {error}")))
}

/// A line on stderr, for people. A stderr that is closed has nobody to tell.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Milliseconds for JSON.
pub(crate) fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration for people, to the millisecond.
pub(crate) fn human(duration: std::time::Duration) -> String {
    humantime::format_duration(std::time::Duration::from_millis(ms(duration))).to_string()
}
