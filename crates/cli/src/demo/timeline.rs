//! What the audience sees: seconds since the start, who, and what. Colours only for a terminal, and
//! not for people who said NO_COLOR (no-color.org).

use std::io::{IsTerminal, stdout};
use std::time::Instant;

use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Format, Show, print_line};

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    /// The lease cluster.
    Cluster,
    /// The client that is paused.
    A,
    /// The client that takes over.
    B,
    /// The fenced store.
    Store,
    /// The plain file.
    File,
    /// Whoever makes trouble.
    Trouble,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::A => "A",
            Self::B => "B",
            Self::Store => "store",
            Self::File => "file",
            Self::Trouble => "!",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Cluster => "36",
            Self::A => "33",
            Self::B => "35",
            Self::Store => "32",
            Self::File => "34",
            Self::Trouble => "31",
        }
    }
}

/// The stage's clock and its painter.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    format: Format,
    colours: bool,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    elapsed_ms: u64,
    who: Who,
    what: &'a str,
}

impl Show for Line<'_> {
    fn text(&self) -> String {
        let seconds = std::time::Duration::from_millis(self.elapsed_ms).as_secs_f64();
        format!("{seconds:7.2} s  {:<8} {}", self.who.name(), self.what)
    }
}

impl Timeline {
    /// Begins now.
    pub(crate) fn begin(format: Format) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let colours = format == Format::Text && wanted && stdout().is_terminal();
        Self { start: Instant::now(), format, colours }
    }

    /// A chapter begins.
    pub(crate) fn chapter(&self, title: &str) -> Result<(), Failure> {
        match self.format {
            Format::Text | Format::Csv => print_line(&format!("\n{}", self.paint("1", title))),
            Format::Json => Ok(()),
        }
    }

    /// Something happened.
    pub(crate) fn tell(&self, who: Who, what: &str) -> Result<(), Failure> {
        let line = Line { elapsed_ms: crate::output::ms(self.start.elapsed()), who, what };
        match self.format {
            Format::Text | Format::Csv => print_line(&self.paint(who.colour(), &line.text())),
            Format::Json => self.format.show(&line),
        }
    }

    /// What it all came to.
    pub(crate) fn sum_up(&self, shown: &[String]) -> Result<(), Failure> {
        match self.format {
            Format::Text | Format::Csv => {
                shown.iter().try_for_each(|fact| print_line(&format!("  * {fact}")))
            }
            Format::Json => print_line(&serde_json::json!({ "shown": shown }).to_string()),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
