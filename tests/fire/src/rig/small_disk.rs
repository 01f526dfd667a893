//! A small disk for one node, in memory, so that it can be filled.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::Outcome;

/// Large enough for two segments of the log, which grow to 64 MiB each, and filled in a moment.
const SIZE: &std::ffi::CStr = c"size=160m,mode=0700";

/// A mounted directory. It is unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Makes the directory, and mounts a disk on it.
    pub(crate) fn mount(directory: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(directory)?;
        mount("tmpfs", directory, "tmpfs", MountFlags::empty(), Some(SIZE))?;
        Ok(Self(directory.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still uses it is being killed.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}
