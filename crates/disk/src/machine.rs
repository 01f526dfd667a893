//! The machine's own disk: a directory that belongs to one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile, check_name};

/// Kept open and locked; never listed.
const LOCK_FILE: &str = ".lock";
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A directory of the file system, locked for this process as long as this value lives.
///
/// Files are made with mode 0600, the directory, if it is new, with 0700.
#[derive(Debug)]
pub struct MachineDisk {
    path: PathBuf,
    directory: File,
    _lock: File,
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenDiskError {
    /// Another process has it.
    #[error("data directory {} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl MachineDisk {
    /// Opens a data directory, making it if there is none, and locks it.
    ///
    /// # Errors
    /// [`OpenDiskError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenDiskError> {
        let path = path.as_ref().to_path_buf();
        let failed = |action| {
            let path = path.clone();
            move |source| OpenDiskError::Io { action, path, source }
        };
        make(&path).map_err(failed("make data directory"))?;
        let directory = File::open(&path).map_err(failed("open data directory"))?;
        let lock = private(OpenOptions::new().create(true).truncate(false))
            .open(path.join(LOCK_FILE))
            .map_err(failed("open the lock file in data directory"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, directory, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenDiskError::InUse { path }),
            Err(TryLockError::Error(source)) => {
                Err(OpenDiskError::Io { action: "lock data directory", path, source })
            }
        }
    }

    fn path_of(&self, name: &str) -> io::Result<PathBuf> {
        check_name(name)?;
        Ok(self.path.join(name))
    }
}

/// Makes a directory where there is none. Its name is durable when the directory that has the name was
/// synced, and so on upwards; one that is there may have been made by a start that was killed before.
fn make(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    let was_there = path.is_dir();
    if !was_there {
        make(parent)?;
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made?,
        }
    }
    match File::open(parent).and_then(|parent| parent.sync_all()) {
        // Nothing was made in it, and it is not ours to sync, or nobody's.
        Err(error) if was_there && is_not_to_be_synced(&error) => Ok(()),
        synced => synced,
    }
}

fn is_not_to_be_synced(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.read(true).write(true).mode(0o600)
}

impl Disk for MachineDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // Not ours: the lock, or what a file system puts into the root of a volume.
            if check_name(&name).is_ok() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path_of(name)?)
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path_of(name)?;
        let file = private(OpenOptions::new().create(true).truncate(true)).open(path)?;
        let mut file = MachineFile { file };
        file.allocate(len)?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = private(&mut OpenOptions::new()).open(self.path_of(name)?)?;
        Ok(Box::new(MachineFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path_of(from)?, self.path_of(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path_of(name)?)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

#[derive(Debug)]
struct MachineFile {
    file: File,
}

impl DiskFile for MachineFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        // Zeros are written, not only reserved: a write into reserved space still changes the
        // file's extents, which fdatasync then has to make durable as well.
        let mut end = self.len()?;
        while end < len {
            let piece =
                usize::try_from(len - end).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.file.write_all_at(&ZEROS[..piece], end)?;
            end += piece as u64;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
