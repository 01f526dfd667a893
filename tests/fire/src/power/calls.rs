//! What a daemon did to its data directory, as strace wrote it down.
//!
//! Only calls that a daemon is known to make are understood. Any other that could change a file there
//! is an error: a replay that passes over it would prove nothing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;

/// Paths beside descriptors, everything in hexadecimal, nothing shortened.
pub(super) const OPTIONS: &[&str] = &[
    "-y",
    "-xx",
    "-s",
    "67108864",
    "-e",
    "trace=open,openat,openat2,creat,read,write,writev,pwrite64,pwritev,pwritev2,truncate,ftruncate,\
     fallocate,lseek,fsync,fdatasync,sync_file_range,copy_file_range,sendfile,splice,rename,renameat,\
     renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat,unlink,unlinkat,mmap,io_uring_setup",
];

/// One call that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// When it began, since the epoch.
    pub(super) at: Duration,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Open { name: String, truncates: bool },
    Write { name: String, offset: u64, bytes: Vec<u8> },
    SetLength { name: String, length: u64 },
    Sync { name: String },
    SyncDirectory,
    Rename { from: String, to: String },
    Remove { name: String },
}

impl What {
    pub(super) fn is_sync(&self) -> bool {
        matches!(self, Self::Sync { .. } | Self::SyncDirectory)
    }
}

/// The calls that changed something in `directory`, in the order in which they began. A call that
/// never came back is left out: nothing was answered after it.
pub(super) fn read(log: &str, directory: &Path) -> Outcome<Vec<Call>> {
    // Where the next `write` to a file goes: which only the calls before it tell.
    let mut ends = HashMap::new();
    let done = lines(log)?;
    done.iter().filter_map(|line| line.call(directory, &mut ends).transpose()).collect()
}

/// The directories on the way to `directory` that were made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) count: u64,
    /// Those whose names were not durable when the first file in `directory` was written.
    pub(super) in_vain: Vec<PathBuf>,
}

/// A power cut would take `directory` with all that is in it if a name on the way is not durable.
pub(super) fn made(log: &str, directory: &Path) -> Outcome<Made> {
    let mut made = Made::default();
    for line in lines(log)? {
        let Some(path) = line.arguments.iter().find_map(|argument| path_in(argument)) else {
            continue;
        };
        let path = PathBuf::from(OsString::from_vec(unhex(path)?));
        match line.name {
            "mkdir" | "mkdirat" if directory.starts_with(&path) => {
                made.count += 1;
                made.in_vain.push(path);
            }
            "fsync" => made.in_vain.retain(|one| one.parent() != Some(&path)),
            "write" | "pwrite64" if path.starts_with(directory) => break,
            _ => {}
        }
    }
    Ok(made)
}

/// The calls that succeeded.
fn lines(log: &str) -> Outcome<Vec<Line<'_>>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut unfinished: HashMap<&str, usize> = HashMap::new();
    for text in log.lines() {
        let wrong = || format!("strace wrote a line that this cannot read: {text:.200}");
        let mut words = text.splitn(3, ' ').map(str::trim);
        let (thread, rest) = (words.next().ok_or_else(wrong)?, text.trim_start());
        let rest = rest[thread.len()..].trim_start();
        let (at, rest) = rest.split_once(' ').ok_or_else(wrong)?;
        // Signals, and threads that ended.
        if rest.starts_with("---") || rest.starts_with("+++") {
            continue;
        }
        if rest.starts_with("<... ") {
            let (_, result) = rest.rsplit_once(" = ").ok_or_else(wrong)?;
            let line = unfinished.remove(thread).ok_or_else(wrong)?;
            lines[line].result = Some(result);
            continue;
        }
        let (name, rest) = rest.split_once('(').ok_or_else(wrong)?;
        let at = Duration::try_from_secs_f64(at.parse()?)?;
        let (arguments, result) = match rest.split_once(" <unfinished ...>") {
            Some((arguments, _)) => {
                unfinished.insert(thread, lines.len());
                (arguments, None)
            }
            None => {
                let (call, result) = rest.rsplit_once(" = ").ok_or_else(wrong)?;
                (call.trim_end().strip_suffix(')').ok_or_else(wrong)?, Some(result))
            }
        };
        lines.push(Line { at, name, arguments: arguments.split(", ").collect(), result });
    }
    lines.retain(|line| line.result.is_some_and(|got| !got.starts_with('-')));
    Ok(lines)
}

/// A call as strace wrote it.
struct Line<'a> {
    at: Duration,
    name: &'a str,
    arguments: Vec<&'a str>,
    result: Option<&'a str>,
}

/// Where a path leads.
#[derive(PartialEq, Eq)]
enum Place {
    Elsewhere,
    Directory,
    File(String),
}

impl Line<'_> {
    fn call(&self, directory: &Path, ends: &mut HashMap<String, u64>) -> Outcome<Option<Call>> {
        let places: Vec<Place> = self
            .arguments
            .iter()
            .filter_map(|argument| path_in(argument))
            .map(|path| Ok(place(&unhex(path)?, directory)))
            .collect::<Outcome<_>>()?;
        let mut ours = places.into_iter().filter(|place| *place != Place::Elsewhere);
        let what = match (self.name, ours.next(), ours.next()) {
            ("io_uring_setup", ..) => return Err(self.unknown()),
            (_, None, _) => None,
            ("open" | "openat", Some(Place::File(name)), None) => {
                let has = |flag| self.arguments.iter().any(|flags| flags.contains(flag));
                if has("O_APPEND") {
                    return Err(self.unknown());
                }
                ends.insert(name.clone(), 0);
                let opens = has("O_CREAT") || has("O_TRUNC");
                opens.then(|| What::Open { name, truncates: has("O_TRUNC") })
            }
            ("open" | "openat", Some(Place::Directory), None) => None,
            // The directory of an openat goes before its path.
            ("open" | "openat", Some(Place::Directory), Some(_)) => return Err(self.unknown()),
            ("pwrite64", Some(Place::File(name)), None) => {
                Some(What::Write { name, offset: self.number(3)?, bytes: self.written()? })
            }
            ("lseek", Some(Place::File(name)), None) => {
                ends.insert(name, self.result()?);
                None
            }
            ("read", Some(Place::File(name)), None) => {
                *ends.entry(name).or_default() += self.result()?;
                None
            }
            ("write", Some(Place::File(name)), None) => {
                let bytes = self.written()?;
                let end = ends.get_mut(&name).ok_or_else(|| self.unknown())?;
                let offset = std::mem::replace(end, *end + bytes.len() as u64);
                Some(What::Write { name, offset, bytes })
            }
            ("ftruncate", Some(Place::File(name)), None) => {
                Some(What::SetLength { name, length: self.number(1)? })
            }
            ("fsync" | "fdatasync", Some(Place::File(name)), None) => Some(What::Sync { name }),
            ("fsync" | "fdatasync", Some(Place::Directory), None) => Some(What::SyncDirectory),
            ("rename", Some(Place::File(from)), Some(Place::File(to))) => {
                Some(What::Rename { from, to })
            }
            ("mkdir" | "mkdirat", Some(Place::Directory), None) => None,
            ("unlink", Some(Place::File(name)), None) => Some(What::Remove { name }),
            ("mmap", Some(Place::File(_)), None) if self.arguments.contains(&"MAP_PRIVATE") => None,
            _ => return Err(self.unknown()),
        };
        // Locks are held, not kept: a name that starts with a dot is not of the data.
        let hidden = |what: &What| matches!(what, What::Open { name, .. } | What::Sync { name } if name.starts_with('.'));
        Ok(what.filter(|what| !hidden(what)).map(|what| Call { at: self.at, what }))
    }

    /// All that it was asked to write, and no less was written.
    fn written(&self) -> Outcome<Vec<u8>> {
        let bytes = unhex(quoted(self.argument(1)?).ok_or_else(|| self.unknown())?)?;
        let (asked, done) = (self.number(2)?, self.result()?);
        match bytes.len() as u64 == asked && done == asked {
            true => Ok(bytes),
            false => Err(self.unknown()),
        }
    }

    fn argument(&self, at: usize) -> Outcome<&str> {
        self.arguments.get(at).copied().ok_or_else(|| self.unknown())
    }

    fn number(&self, at: usize) -> Outcome<u64> {
        self.argument(at)?.parse().map_err(|_| self.unknown())
    }

    fn result(&self) -> Outcome<u64> {
        let result = self.result.and_then(|result| result.split(' ').next()?.parse().ok());
        result.ok_or_else(|| self.unknown())
    }

    fn unknown(&self) -> Box<dyn std::error::Error + Send + Sync> {
        let arguments = self.arguments.join(", ");
        format!("a call that this cannot do again: {}({arguments:.300})", self.name).into()
    }
}

/// The path in an argument: of a descriptor between brackets, of a name between quotes.
fn path_in(argument: &str) -> Option<&str> {
    // A relative name follows the directory it starts from.
    if argument.starts_with("AT_FDCWD") {
        return None;
    }
    quoted(argument).filter(|path| path.starts_with("\\x2f")).or_else(|| {
        let (descriptor, path) = argument.split_once('<')?;
        descriptor.parse::<u32>().ok()?;
        path.strip_suffix('>')
    })
}

fn quoted(argument: &str) -> Option<&str> {
    argument.strip_prefix('"')?.strip_suffix('"')
}

fn unhex(text: &str) -> Outcome<Vec<u8>> {
    let byte = |digits: &str| u8::from_str_radix(digits, 16);
    let bytes = text.split("\\x").skip(1).map(byte).collect::<Result<Vec<u8>, _>>();
    Ok(bytes.map_err(|error| format!("strace wrote {text:.40}: {error}"))?)
}

fn place(path: &[u8], directory: &Path) -> Place {
    let directory = directory.as_os_str().as_bytes();
    match path.strip_prefix(directory) {
        Some([]) => Place::Directory,
        Some([b'/', name @ ..]) => Place::File(String::from_utf8_lossy(name).into_owned()),
        _ => Place::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    fn read_one(call: &str) -> Outcome<Vec<What>> {
        let calls = read(&format!("71 1764334343.25 {call}\n"), Path::new("/data"))?;
        Ok(calls.into_iter().map(|call| call.what).collect())
    }

    #[test]
    fn a_call_is_read_with_all_its_bytes() {
        let write = format!("pwrite64(4<{}>, \"\\x68\\x00\", 2, 512) = 2", hex("/data/log"));
        let name = "log".to_owned();
        assert_eq!(
            read_one(&write).unwrap(),
            [What::Write { name: name.clone(), offset: 512, bytes: vec![0x68, 0] }]
        );
        let sync = format!("fdatasync(4<{}>) = 0", hex("/data/log"));
        assert_eq!(read_one(&sync).unwrap(), [What::Sync { name: name.clone() }]);
        let whole = format!("fsync(5<{}>) = 0", hex("/data"));
        assert_eq!(read_one(&whole).unwrap(), [What::SyncDirectory]);
        let (new, open) = (hex("/data/log"), "O_RDWR|O_CREAT|O_TRUNC, 0600");
        let open = format!("openat(AT_FDCWD<{}>, \"{new}\", {open}) = 4<{new}>", hex("/"));
        assert_eq!(read_one(&open).unwrap(), [What::Open { name: name.clone(), truncates: true }]);
        let rename = format!("rename(\"{}\", \"{new}\") = 0", hex("/data/log.new"));
        let from = "log.new".to_owned();
        assert_eq!(read_one(&rename).unwrap(), [What::Rename { from, to: name }]);
    }

    #[test]
    fn what_is_written_without_an_offset_goes_behind_what_was_written_before() {
        let (log, open) = (hex("/data/log"), "O_WRONLY|O_CREAT|O_TRUNC, 0600");
        let text = format!(
            "71 1.0 openat(AT_FDCWD<{}>, \"{log}\", {open}) = 4<{log}>\n\
             71 2.0 write(4<{log}>, \"\\x68\\x69\", 2) = 2\n\
             71 3.0 write(4<{log}>, \"\\x21\", 1) = 1\n",
            hex("/")
        );
        let calls = read(&text, Path::new("/data")).unwrap();
        let offsets: Vec<u64> = calls
            .iter()
            .filter_map(|call| match call.what {
                What::Write { offset, .. } => Some(offset),
                _ => None,
            })
            .collect();
        assert_eq!(offsets, [0, 2]);
    }

    #[test]
    fn a_directory_is_made_in_vain_unless_its_name_is_synced_before_anything_is_in_it() {
        let (upper, data, log) = (hex("/a/b"), hex("/a/b/data"), hex("/a/b/data/log"));
        let makes = format!(
            "71 1.0 mkdir(\"{upper}\", 0700) = 0\n71 2.0 mkdir(\"{data}\", 0700) = 0\n\
             71 3.0 fsync(4<{upper}>) = 0\n"
        );
        let write = format!("71 4.0 pwrite64(5<{log}>, \"\\x68\", 1, 0) = 1\n");
        let sync = format!("71 5.0 fsync(4<{}>) = 0\n", hex("/a"));
        let made_in = |log: String| made(&log, Path::new("/a/b/data")).unwrap();
        let late = made_in([&*makes, &write, &sync].concat());
        assert_eq!(late, Made { count: 2, in_vain: vec![PathBuf::from("/a/b")] });
        let early = made_in([&*makes, &sync, &write].concat());
        assert_eq!(early, Made { count: 2, in_vain: vec![] });
        assert_eq!(made_in(write), Made::default());
    }

    #[test]
    fn calls_elsewhere_and_calls_that_failed_are_left_out() {
        let elsewhere = format!("pwrite64(4<{}>, \"\\x68\", 1, 0) = 1", hex("/database/log"));
        assert_eq!(read_one(&elsewhere).unwrap(), []);
        let socket = "write(9<\\x73\\x6f\\x63\\x6b\\x65\\x74>, \"\\x2f\\x68\", 2) = 2";
        assert_eq!(read_one(socket).unwrap(), []);
        let failed = format!("unlink(\"{}\") = -1 ENOENT (No such file)", hex("/data/log"));
        assert_eq!(read_one(&failed).unwrap(), []);
    }

    #[test]
    fn a_call_that_is_interrupted_by_another_threads_counts_from_where_it_began() {
        let (log, index) = (hex("/data/log"), hex("/data/index"));
        let text = format!(
            "71 1.000000 fdatasync(4<{log}> <unfinished ...>\n\
             7200 2.000000 ftruncate(5<{index}>, 8) = 0\n\
             71 3.000000 <... fdatasync resumed>)  = 0\n\
             71 4.000000 fdatasync(4<{log}> <unfinished ...>\n\
             71 5.000000 +++ killed by SIGKILL +++\n"
        );
        let calls = read(&text, Path::new("/data")).unwrap();
        let at: Vec<u64> = calls.iter().map(|call| call.at.as_secs()).collect();
        assert_eq!(at, [1, 2], "and one that never came back does not count");
    }

    #[test]
    fn a_call_that_cannot_be_done_again_is_an_error() {
        let log = hex("/data/log");
        for call in [
            format!("write(4<{log}>, \"\\x68\", 1) = 1"),
            format!("pwrite64(4<{log}>, \"\\x68\", 2, 0) = 1"),
            format!("pwrite64(4<{log}>, \"\\x68\"..., 2, 0) = 2"),
            format!("fallocate(4<{log}>, 0, 0, 4096) = 0"),
            format!("mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, 4<{log}>, 0) = 0x7f"),
            "io_uring_setup(8, {flags=0}) = 5".to_owned(),
        ] {
            assert!(read_one(&call).is_err(), "{call}");
        }
    }
}
