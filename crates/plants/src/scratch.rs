//! A copy of the sources that may be broken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::{Plant, Unusable};

/// A copy of every file that git knows or would add, and a target directory beside it.
#[derive(Debug)]
pub struct Scratch {
    source: PathBuf,
    tree: PathBuf,
    target: PathBuf,
}

/// A bug that stands in the copy.
#[derive(Debug)]
#[must_use = "what is planted has to be taken out again"]
pub struct Planted {
    path: PathBuf,
    source: String,
}

impl Planted {
    /// Takes it out again. Written, so that it is younger than what was built with the bug: cargo goes
    /// by age.
    pub fn take_out(self) -> io::Result<()> {
        fs::write(self.path, self.source)
    }
}

impl Scratch {
    /// Copies the sources at `source` to below `folder`. A file that is there already and equal keeps
    /// its age, so nothing is built twice; what a killed run left planted is put right.
    pub fn new(source: &Path, folder: &Path) -> io::Result<Self> {
        let scratch = Self {
            source: source.to_owned(),
            tree: folder.join("tree"),
            target: folder.join("target"),
        };
        scratch.synchronise()?;
        Ok(scratch)
    }

    /// The copied workspace.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Where it is built.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Plants one bug, in the copy as it was made: the sources themselves may have moved on.
    pub fn plant(&self, plant: &Plant) -> Result<Planted, Unusable> {
        let path = self.tree.join(&plant.file);
        let failed = |why| Unusable::Io(plant.file.clone(), why);
        let source = fs::read_to_string(&path).map_err(failed)?;
        fs::write(&path, plant.planted_in(&source)?).map_err(failed)?;
        Ok(Planted { path, source })
    }

    fn synchronise(&self) -> io::Result<()> {
        let files = files_of(&self.source)?;
        for file in &files {
            let (from, to) = (self.source.join(file), self.tree.join(file));
            let wanted = fs::read(&from)?;
            if fs::read(&to).is_ok_and(|there| there == wanted) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(to, wanted)?;
        }
        let mut there = Vec::new();
        walk(&self.tree, &mut there)?;
        for path in there {
            let known = path.strip_prefix(&self.tree).is_ok_and(|name| files.contains(name));
            if !known {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn files_of(source: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(source)
        .output()?;
    if !listed.status.success() {
        let why = String::from_utf8_lossy(&listed.stderr).into_owned();
        return Err(io::Error::other(format!("git ls-files: {why}")));
    }
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(names.filter(|name| source.join(name).is_file()).collect())
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
