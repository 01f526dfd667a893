//! Where a test target's source lies, and which tests stand in it. Cheap, by reading: whether a test
//! runs is only known when it has run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::KilledBy;

/// The source of one test target.
#[derive(Debug)]
pub struct Target {
    files: Vec<PathBuf>,
}

impl Target {
    /// The files that `test` may stand in; none where there is no such target.
    pub fn of(root: &Path, test: &KilledBy) -> Self {
        let package = match test.package.strip_prefix("leasehold-") {
            Some(name) => root.join("crates").join(name),
            None => root.join("crates/cli"),
        };
        let mut files = Vec::new();
        if test.target == "lib" {
            collect(&package.join("src"), &mut files);
        } else {
            for folder in [package.join("tests"), root.join("tests")] {
                files.extend(Some(folder.join(format!("{}.rs", test.target))));
                collect(&folder.join(&test.target), &mut files);
            }
        }
        files.retain(|file| file.is_file());
        Self { files }
    }

    /// Whether one of its files has the test: a function of that name, in a file or a folder that is
    /// named like a module of its path, where it has one.
    pub fn has(&self, test: &KilledBy) -> bool {
        let mut modules: Vec<_> = test.test.split("::").collect();
        let name = modules.pop().unwrap_or_default();
        modules.retain(|module| *module != "tests");
        let mut candidates = self.files.iter().filter(|file| {
            let mut parts =
                file.iter().rev().take(2).filter_map(|part| Path::new(part).file_stem());
            modules.is_empty() || parts.any(|part| modules.iter().any(|module| part == *module))
        });
        candidates.any(|file| {
            fs::read_to_string(file)
                .is_ok_and(|source| tests_in(&source).iter().any(|found| found == name))
        })
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The names of the functions in a source file that are tests.
pub fn tests_in(source: &str) -> Vec<String> {
    let mut is_test = false;
    let mut found = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
        } else if let Some(rest) = line.trim_start_matches("async ").strip_prefix("fn ") {
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.extend(is_test.then_some(name));
            is_test = false;
        }
    }
    found
}
