//! The configuration file: read in two steps, checked in full before anything is opened.
//!
//! First the file as it is written, unknown keys refused; then the checked [`Config`], where every
//! value is one the store can run with. `config/store.toml` lists every key with its default, and a
//! test holds the two together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use leasehold_api::CLUSTER_ID_BYTES_MAX;
use leasehold_fence::Floor;
use leasehold_types::BadField;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How a store runs. Every value is within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the database lives. Made where it is not there, and closed to other users.
    pub data_dir: PathBuf,
    /// Where clients reach the store. Port 0 takes a free one, which the log names.
    pub listen: SocketAddr,
    /// No token below this is accepted. Raised durably at the start; a stored floor that is higher
    /// stays in force.
    pub floor: Floor,
    /// The lease cluster the store belongs to; `None` takes the first it is told.
    pub cluster_id: Option<String>,
    /// Resources that may have a mark.
    pub resources_max: u64,
    /// Writes that may be under way before the next is refused with `QUEUE_FULL`; as many again on
    /// streams.
    pub queue_max: usize,
    /// Whether the whole database is checked before the store serves.
    pub verify_on_open: bool,
    /// Threads that serve requests; 1 is a runtime without worker threads. The daemon's main function
    /// makes the runtime.
    pub runtime_threads: usize,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// What is logged, and how. The daemon's main function sets it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// Directives as `tracing_subscriber::EnvFilter` takes them, such as `info,leasehold_store=debug`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML, has an unknown key, or a value of the wrong type.
    #[error("{}: {source}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        source: Box<toml::de::Error>,
    },
    /// A value is not allowed.
    #[error("{}: {bad}", .path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, what came, and what is allowed.
        bad: BadField,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("leasehold-store"),
            listen: SocketAddr::from(([127, 0, 0, 1], 7300)),
            floor: Floor::NONE,
            cluster_id: None,
            resources_max: 1_000_000,
            queue_max: 4_096,
            verify_on_open: true,
            runtime_threads: 2,
            log: LogConfig { format: LogFormat::Text, filter: String::from("info") },
        }
    }
}

impl Config {
    /// Reads and checks a file. Binds nothing, opens nothing else.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file and, where it is about one, the key.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Checks a text; `path` is for complaints.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Self::try_from(raw).map_err(|bad| ConfigError::Value { path: path.to_owned(), bad })
    }
}

/// The file as it is written. What is absent takes the default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    floor: Option<u64>,
    cluster_id: Option<String>,
    resources_max: Option<u64>,
    queue_max: Option<u64>,
    verify_on_open: Option<bool>,
    runtime_threads: Option<u64>,
    log: Option<RawLogConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLogConfig {
    format: Option<LogFormat>,
    filter: Option<String>,
}

impl TryFrom<RawConfig> for Config {
    type Error = BadField;

    fn try_from(raw: RawConfig) -> Result<Self, BadField> {
        let RawConfig {
            data_dir,
            listen,
            floor,
            cluster_id,
            resources_max,
            queue_max,
            verify_on_open,
            runtime_threads,
            log,
        } = raw;
        let default = Self::default();
        Ok(Self {
            data_dir: checked_data_dir(data_dir.unwrap_or(default.data_dir))?,
            listen: listen.map_or(Ok(default.listen), checked_listen)?,
            floor: floor.map_or(default.floor, Floor::new),
            cluster_id: checked_cluster_id(cluster_id)?,
            resources_max: resources_max.map_or(Ok(default.resources_max), |number| {
                checked_number("resources_max", number, 1..=1_000_000_000)
            })?,
            queue_max: queue_max.map_or(Ok(default.queue_max), |number| {
                checked_size("queue_max", number, 1..=65_536)
            })?,
            verify_on_open: verify_on_open.unwrap_or(default.verify_on_open),
            runtime_threads: runtime_threads.map_or(Ok(default.runtime_threads), |number| {
                checked_size("runtime_threads", number, 1..=256)
            })?,
            log: checked_log(log.unwrap_or_default(), default.log)?,
        })
    }
}

fn checked_data_dir(data_dir: PathBuf) -> Result<PathBuf, BadField> {
    if data_dir.as_os_str().is_empty() {
        return Err(BadField::new("data_dir", "an empty path", "the path of a directory"));
    }
    Ok(data_dir)
}

fn checked_listen(text: String) -> Result<SocketAddr, BadField> {
    text.parse().map_err(|_| {
        let got = format!("{text:?}");
        BadField::new("listen", got, "an IP address and a port, such as \"127.0.0.1:7300\"")
    })
}

fn checked_cluster_id(text: Option<String>) -> Result<Option<String>, BadField> {
    let text = text.filter(|text| !text.is_empty());
    if let Some(bytes) = text.as_ref().map(String::len).filter(|n| *n > CLUSTER_ID_BYTES_MAX) {
        let got = format!("{bytes} bytes");
        return Err(BadField::new("cluster_id", got, "at most 256 bytes, or empty"));
    }
    Ok(text)
}

fn checked_number(
    key: &'static str,
    number: u64,
    allowed: RangeInclusive<u64>,
) -> Result<u64, BadField> {
    if allowed.contains(&number) {
        return Ok(number);
    }
    let phrase = format!("{} to {}", allowed.start(), allowed.end());
    Err(BadField::new(key, number.to_string(), phrase))
}

fn checked_size(
    key: &'static str,
    number: u64,
    allowed: RangeInclusive<u64>,
) -> Result<usize, BadField> {
    let number = checked_number(key, number, allowed)?;
    usize::try_from(number)
        .map_err(|_| BadField::new(key, number.to_string(), "what this machine can count"))
}

fn checked_log(raw: RawLogConfig, default: LogConfig) -> Result<LogConfig, BadField> {
    let RawLogConfig { format, filter } = raw;
    let filter = filter.unwrap_or(default.filter);
    if let Err(error) = EnvFilter::try_new(&filter) {
        let got = format!("{filter:?} ({error})");
        let allowed = "directives such as \"info\" or \"info,leasehold_store=debug\"";
        return Err(BadField::new("log.filter", got, allowed));
    }
    Ok(LogConfig { format: format.unwrap_or(default.format), filter })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let path = dir.path().join("store.toml");
        fs::write(&path, text).expect("writes the file");
        Config::load(path)
    }

    #[test]
    fn the_annotated_file_says_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/store.toml");
        assert_eq!(Config::load(&path).expect("is allowed"), Config::default());
        let text = fs::read_to_string(path).expect("is there");
        for key in [
            "data_dir",
            "listen",
            "floor",
            "cluster_id",
            "resources_max",
            "queue_max",
            "verify_on_open",
            "runtime_threads",
            "format",
            "filter",
        ] {
            let told = text.lines().any(|line| line.starts_with(&format!("{key} = ")));
            assert!(told, "the annotated file does not set {key}");
        }
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(load("").expect("is allowed"), Config::default());
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            data_dir = "/d"
            listen = "[::1]:0"
            floor = 18446744073709551615
            cluster_id = "c"
            resources_max = 2
            queue_max = 3
            verify_on_open = false
            runtime_threads = 1
            log = { format = "json", filter = "debug" }
        "#
        // TOML integers are signed, so the largest floor it can say is 2^63 - 1.
        .replace("18446744073709551615", "9223372036854775807");
        let expected = Config {
            data_dir: PathBuf::from("/d"),
            listen: "[::1]:0".parse().expect("an address"),
            floor: Floor::new(i64::MAX as u64),
            cluster_id: Some("c".into()),
            resources_max: 2,
            queue_max: 3,
            verify_on_open: false,
            runtime_threads: 1,
            log: LogConfig { format: LogFormat::Json, filter: "debug".into() },
        };
        assert_eq!(load(&text).expect("is allowed"), expected);
    }

    #[test]
    fn a_bad_value_is_refused_with_its_key_and_what_is_allowed() {
        let cases = [
            ("data_dir = ''", "data_dir"),
            ("listen = 'localhost'", "listen"),
            ("listen = '127.0.0.1:70000'", "listen"),
            ("resources_max = 0", "resources_max"),
            ("resources_max = 1000000001", "resources_max"),
            ("queue_max = 0", "queue_max"),
            ("queue_max = 65537", "queue_max"),
            ("runtime_threads = 0", "runtime_threads"),
            ("runtime_threads = 257", "runtime_threads"),
            ("log = { filter = 'info,[=' }", "log.filter"),
        ];
        for (text, key) in cases {
            match load(text) {
                Err(ConfigError::Value { bad, .. }) => assert_eq!(bad.field, key, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let long = format!("cluster_id = '{}'", "x".repeat(257));
        assert!(
            matches!(load(&long), Err(ConfigError::Value { bad, .. }) if bad.field == "cluster_id")
        );
    }

    #[test]
    fn an_unknown_key_and_a_wrong_type_are_refused_with_their_place() {
        let cases = [
            ("flor = 3", "flor"),
            ("log = { fromat = 'json' }", "fromat"),
            ("log = { format = 'xml' }", "xml"),
            ("floor = -1", "floor"),
            ("floor = 'high'", "floor"),
            ("verify_on_open = 1", "verify_on_open"),
            ("floor = ", "floor"),
        ];
        for (text, named) in cases {
            let error = load(text).expect_err(text);
            assert!(matches!(error, ConfigError::Parse { .. }), "{text}: {error:?}");
            assert!(error.to_string().contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load("/nowhere/store.toml").expect_err("is not there");
        assert!(error.to_string().starts_with("/nowhere/store.toml cannot be read"), "{error}");
    }
}
