//! A disk that is full, and a disk whose files were changed while its node was down.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::rig::{PATIENCE, Rig};

/// A node that cannot write must not pretend: it stops. The others go on without it.
pub(super) async fn full(rig: &mut Rig) -> Outcome<()> {
    let Some(at) = rig.small_disk_of() else { return Ok(()) };
    let filler = rig.cluster.nodes[at].data.join("filler");
    if !fill(&filler)? {
        return Err("a small disk took everything: it is none".into());
    }
    rig.tally.add("disks filled", 1);
    let ended = ends(rig, at, Duration::from_secs(15)).await?;
    rig.tally.add("nodes stopped by a full disk", u64::from(ended));
    others_lead(rig, at).await?;
    fs::remove_file(&filler)?;
    if ended {
        rig.cluster.nodes[at].start(&rig.network)?;
    }
    Ok(())
}

/// Writes until nothing fits any more. False when it went on and on.
fn fill(path: &Path) -> Outcome<bool> {
    let mut file = File::create(path)?;
    let piece = vec![0; 64 * 1024];
    for size in [piece.len(), 512, 1] {
        for _ in 0..4_096 {
            match file.write_all(&piece[..size]) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull && size == 1 => {
                    return Ok(true);
                }
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(false)
}

/// Bits of one node's files are changed while it is down. It refuses to start, or it does no harm.
pub(super) async fn corrupt(rig: &mut Rig) -> Outcome<()> {
    let at = rig.random.usize(..rig.cluster.nodes.len());
    let really = rig.cluster.nodes[at].kill()?;
    rig.tally.add("sigkills", u64::from(really));
    let data = rig.cluster.nodes[at].data.clone();
    let files: Vec<PathBuf> = files(&data)?;
    if files.is_empty() {
        return rig.cluster.nodes[at].start(&rig.network);
    }
    let file = files[rig.random.usize(..files.len())].clone();
    let before = fs::read(&file)?;
    flip(&file, before.len() as u64, &mut rig.random)?;
    rig.tally.add("disks corrupted", 1);
    rig.cluster.nodes[at].start(&rig.network)?;
    if ends(rig, at, Duration::from_secs(3)).await? {
        rig.tally.add("corrupted disks refused", 1);
        others_lead(rig, at).await?;
        // Nothing was written since: with its bytes put back it is the disk that it was.
        OpenOptions::new().write(true).open(&file)?.write_all_at(&before, 0)?;
        rig.cluster.nodes[at].start(&rig.network)?;
    }
    Ok(())
}

fn files(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.metadata()?.len() > 0 {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Not in the last quarter: a bit of the last group of a log looks like a write that a crash tore, and
/// is cut off (docs/faults.md says so).
fn flip(path: &Path, length: u64, random: &mut fastrand::Rng) -> Outcome<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    for _ in 0..random.u32(1..=3) {
        let at = random.u64(..(length * 3 / 4).max(1));
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        byte[0] ^= 1 << random.u8(..8);
        file.write_all_at(&byte, at)?;
    }
    Ok(())
}

/// Whether a node ends by itself, which for once is not complained of.
async fn ends(rig: &mut Rig, at: usize, patience: Duration) -> Outcome<bool> {
    let deadline = Instant::now() + patience;
    rig.may_end = Some(at);
    while rig.cluster.nodes[at].daemon.is_up() && Instant::now() < deadline {
        rig.pass(Duration::from_millis(40)).await?;
    }
    rig.may_end = None;
    Ok(!rig.cluster.nodes[at].daemon.is_up())
}

/// The others are a majority, and lead themselves.
async fn others_lead(rig: &mut Rig, without: usize) -> Outcome<()> {
    let deadline = Instant::now() + PATIENCE;
    while rig.observer.leader().is_none_or(|leader| leader == without) {
        if Instant::now() > deadline {
            let words = rig.last_words();
            rig.complaints.push(format!("a majority without one node did not lead\n{words}"));
            return Ok(());
        }
        rig.pass(Duration::from_millis(40)).await?;
    }
    Ok(())
}
