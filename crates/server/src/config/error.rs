//! Why a configuration is refused.

use std::path::PathBuf;

use leasehold_types::BadField;

/// Why a configuration is refused. Nothing was bound or created.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the config file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, has a key that does not exist, lacks one that must, or has a value of the
    /// wrong type. The message quotes the line.
    #[error("the config does not have the right form: {0}")]
    Form(#[from] toml::de::Error),
    /// A value is out of its bounds or does not fit the others.
    #[error(transparent)]
    BadField(#[from] BadField),
    /// What is wrong is in a file.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it: [`Self::Form`] or [`Self::BadField`].
        #[source]
        source: Box<Self>,
    },
}
