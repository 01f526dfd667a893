//! A door for `fuzz/`: the command line without a process. Behind the feature `fuzz`; not part of the
//! command.
#![allow(missing_docs, reason = "for one caller, where each is explained")]

use std::ffi::OsString;
use std::time::Duration;

use clap::{CommandFactory, Parser};

use crate::args::{self, Cli};
use crate::exit::{Failure, USAGE};

/// A command line that was understood.
#[derive(Debug)]
pub struct Understood {
    /// Everything that was understood.
    pub all: String,
    pub endpoints: Vec<String>,
    pub timeout: Duration,
}

/// A command line that was not, or asked for help: the exit code, and what is printed.
#[derive(Debug)]
pub struct NotRun {
    pub code: i32,
    pub text: String,
}

pub fn parse(words: &[OsString]) -> Result<Understood, NotRun> {
    match Cli::try_parse_from(words) {
        Ok(cli) => Ok(Understood {
            all: format!("{cli:?}"),
            endpoints: cli.common.endpoints,
            timeout: cli.common.timeout,
        }),
        Err(error) => Err(NotRun { code: error.exit_code(), text: error.to_string() }),
    }
}

pub fn duration(text: &str) -> Result<Duration, String> {
    args::duration(text)
}

/// A token as the verbs take it; the error is the exit code.
pub fn token(value: u64) -> Result<u64, u8> {
    crate::connect::token(value).map(|token| token.get()).map_err(|failure: Failure| failure.code)
}

/// What usage mistakes exit with.
pub const USAGE_CODE: u8 = USAGE;

/// The verbs that help shows.
pub fn verbs() -> Vec<String> {
    let command = Cli::command();
    command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}
