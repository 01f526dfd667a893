//! The fake disk as one process sees it.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{State, Verdict, lock};
use crate::disk::{Disk, DiskFile, check_name};

#[derive(Clone)]
pub(super) struct Mount {
    pub(super) shared: Arc<Mutex<State>>,
    pub(super) generation: u64,
}

/// Without the contents.
impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Mount {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = lock(&self.shared);
        match state.powered_off || state.generation != self.generation {
            true => Err(io::Error::other(
                "this disk is gone: the power failed or the process was killed",
            )),
            false => Ok(state),
        }
    }

    /// A change that fails, or is the last before the power goes, if that was asked for.
    fn change<T>(&self, what: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state()?;
        match state.count_write() {
            Verdict::Proceed => what(&mut state),
            Verdict::Fail => Err(io::Error::other("injected write failure")),
            Verdict::PowerOff => {
                what(&mut state)?;
                Err(io::Error::other("the power failed"))
            }
        }
    }
}

impl Disk for Mount {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state()?.medium.names())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        check_name(name)?;
        let state = self.state()?;
        let file = state.medium.find(name)?;
        Ok(state.medium.cached(file)?.to_vec())
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        check_name(name)?;
        let file = self.change(|state| Ok(state.medium.create(name)))?;
        let mut file = FakeFile { mount: self.clone(), file };
        file.allocate(len)?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        check_name(name)?;
        let file = self.state()?.medium.find(name)?;
        Ok(Box::new(FakeFile { mount: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(to)?;
        self.change(|state| state.medium.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|state| state.medium.remove(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state()?;
        match state.count_sync() {
            Verdict::Proceed => {
                state.medium.sync_names();
                Ok(())
            }
            Verdict::Fail => Err(io::Error::other("injected sync failure")),
            Verdict::PowerOff => Err(io::Error::other("the power failed")),
        }
    }
}

#[derive(Debug)]
struct FakeFile {
    mount: Mount,
    file: u64,
}

impl DiskFile for FakeFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.mount.state()?;
        let bytes = state.medium.cached(self.file)?;
        let found = bytes.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.file;
        let end = offset + bytes.len() as u64;
        if end <= self.len()? {
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            self.mount.state()?.expect_write(used as u64);
        }
        self.mount.change(|state| {
            state.room_for(file, end)?;
            state.medium.write(file, offset, bytes)
        })
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        if len <= now {
            return Ok(());
        }
        let file = self.file;
        self.mount.change(|state| {
            let room = state.room_for(file, len);
            let grown = if room.is_ok() { len } else { now + (len - now) / 2 };
            state.medium.write(file, now, &vec![0; (grown - now) as usize])?;
            room
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.mount.state()?;
        match state.count_sync() {
            Verdict::Proceed => state.medium.sync(self.file),
            Verdict::Fail => {
                state.medium.forget_changes(self.file)?;
                Err(io::Error::other("injected sync failure"))
            }
            Verdict::PowerOff => Err(io::Error::other("the power failed")),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.mount.state()?.medium.cached(self.file)?.len() as u64)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let file = self.file;
        self.mount.change(|state| state.medium.set_len(file, len))
    }
}
