//! What every run is told: which program, where its files go, who hears of it.

use std::path::PathBuf;

use crate::Outcome;
use crate::verdict::Directory;

/// Flattened into the arguments of each verb.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Paths {
    /// The `leasehold` program
    #[arg(long, default_value = "target/release/leasehold")]
    binary: PathBuf,
    /// Add a line of JSON to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Where data, logs and histories go; kept only if something is wrong, unless it is given
    #[arg(long)]
    directory: Option<PathBuf>,
}

impl Paths {
    /// The program, if it is there.
    pub(crate) fn binary(&self) -> Outcome<PathBuf> {
        let named = |error| format!("{}: {error}", self.binary.display());
        Ok(std::fs::canonicalize(&self.binary).map_err(named)?)
    }

    pub(crate) fn directory(&self) -> Outcome<Directory> {
        Directory::new(self.directory.as_deref())
    }
}
