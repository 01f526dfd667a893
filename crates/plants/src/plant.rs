//! What a plant is, and what makes one usable.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde::Deserialize;

/// Where plants are kept, from the root of the workspace.
const FOLDER: &str = "tests/plants";
/// A plant is a few lines: longer ones are another program, not a bug.
const LINES_MAX: usize = 16;

/// One bug and the test that must notice it.
#[derive(Clone, Debug)]
pub struct Plant {
    /// The name of its file.
    pub name: String,
    /// The rule it breaks, in one sentence.
    pub breaks: String,
    /// The invariants, promises, properties, stories and scenarios that the rule belongs to.
    pub rules: Vec<String>,
    /// The source file, from the root of the workspace.
    pub file: PathBuf,
    /// Text that stands in it exactly once.
    pub find: String,
    /// What stands there with the bug.
    pub replace: String,
    /// The test that must turn red.
    pub killed_by: KilledBy,
}

/// A test, by the names that cargo knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KilledBy {
    /// The package.
    pub package: String,
    /// Its test target; `lib` for the tests inside the library.
    pub target: String,
    /// The test's full name in that target.
    pub test: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    breaks: String,
    rules: Vec<String>,
    file: PathBuf,
    find: String,
    replace: String,
    killed_by: KilledBy,
}

/// Why a plant cannot be planted.
#[derive(Debug)]
pub enum Unusable {
    /// A file cannot be read or written.
    Io(PathBuf, io::Error),
    /// The plant's file is not one.
    Unreadable(PathBuf, toml::de::Error),
    /// The text to replace is not there exactly once.
    Found(String, usize),
    /// Nothing would change.
    NoChange(String),
    /// It is not small.
    TooLong(String, usize),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Unreadable(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Found(name, times) => {
                write!(f, "{name}: its text stands {times} times in its file, not once")
            }
            Self::NoChange(name) => write!(f, "{name}: it changes nothing"),
            Self::TooLong(name, lines) => write!(f, "{name}: {lines} lines, most are {LINES_MAX}"),
        }
    }
}

impl std::error::Error for Unusable {}

impl Plant {
    /// Every plant of the workspace at `root`, in order of the package that is changed, then the one
    /// that is tested: what was built for one is at hand for the next.
    pub fn all(root: &Path) -> Result<Vec<Self>, Unusable> {
        let folder = root.join(FOLDER);
        let entries = fs::read_dir(&folder).map_err(|why| Unusable::Io(folder.clone(), why))?;
        let mut plants = Vec::new();
        for entry in entries {
            let path = entry.map_err(|why| Unusable::Io(folder.clone(), why))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                plants.push(Self::read(&path)?);
            }
        }
        plants.sort_by_key(|plant| {
            (plant.area().to_owned(), plant.killed_by.clone(), plant.name.clone())
        });
        Ok(plants)
    }

    fn read(path: &Path) -> Result<Self, Unusable> {
        let text = fs::read_to_string(path).map_err(|why| Unusable::Io(path.into(), why))?;
        let written: Written =
            toml::from_str(&text).map_err(|why| Unusable::Unreadable(path.into(), why))?;
        let Written { breaks, rules, file, find, replace, killed_by } = written;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, breaks, rules, file, find, replace, killed_by })
    }

    /// The crate whose source it changes.
    pub fn area(&self) -> &str {
        let mut parts = self.file.iter().filter_map(|part| part.to_str());
        parts.by_ref().find(|part| *part == "crates").and_then(|_| parts.next()).unwrap_or("")
    }

    /// The source with the bug in it.
    pub fn planted_in(&self, source: &str) -> Result<String, Unusable> {
        match source.matches(&self.find).count() {
            1 => {}
            times => return Err(Unusable::Found(self.name.clone(), times)),
        }
        let lines = self.find.lines().count().max(self.replace.lines().count());
        if lines > LINES_MAX {
            return Err(Unusable::TooLong(self.name.clone(), lines));
        }
        if self.find == self.replace {
            return Err(Unusable::NoChange(self.name.clone()));
        }
        Ok(source.replacen(&self.find, &self.replace, 1))
    }
}
