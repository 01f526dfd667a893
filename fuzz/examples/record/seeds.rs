//! What was recorded, by target.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;

const SEEDS_MAX: usize = 40;
const BYTES_MAX: usize = 4_096;
/// No more than a third of what a corpus may have.
const BYTES_OF_TARGET_MAX: usize = 100 << 10;

type ByTarget = BTreeMap<&'static str, BTreeSet<Vec<u8>>>;

/// The seeds of each target. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seeds(Arc<Mutex<ByTarget>>);

impl Seeds {
    /// Takes one seed: what kind it is, and its bytes.
    pub(crate) fn take(&self, target: &'static str, kind: u8, bytes: &[u8]) {
        self.take_whole(target, [&[kind], bytes].concat());
    }

    pub(crate) fn message(&self, target: &'static str, kind: u8, message: &impl Message) {
        self.take(target, kind, &message.encode_to_vec());
    }

    /// The same for a target without kinds.
    pub(crate) fn take_whole(&self, target: &'static str, bytes: Vec<u8>) {
        let mut seeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() <= BYTES_MAX {
            seeds.entry(target).or_default().insert(bytes);
        }
    }

    /// Replaces what was recorded before. Of many seeds, some of each length are taken.
    pub(crate) fn write(&self) -> io::Result<()> {
        let seeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (target, all) in seeds.iter() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
            fs::create_dir_all(&folder)?;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with("recorded-") {
                    fs::remove_file(entry.path())?;
                }
            }
            let chosen = chosen(all);
            for (number, bytes) in chosen.iter().enumerate() {
                fs::write(folder.join(format!("recorded-{number:03}")), bytes)?;
            }
            println!("{target}: {} of {}", chosen.len(), all.len());
        }
        Ok(())
    }
}

fn chosen(all: &BTreeSet<Vec<u8>>) -> Vec<&Vec<u8>> {
    let mut sorted: Vec<&Vec<u8>> = all.iter().collect();
    sorted.sort_by_key(|bytes| (bytes.first().copied(), bytes.len()));
    let step = sorted.len().div_ceil(SEEDS_MAX).max(1);
    let mut total = 0;
    let fits = |bytes: &&Vec<u8>| {
        total += bytes.len();
        total <= BYTES_OF_TARGET_MAX
    };
    sorted.into_iter().step_by(step).filter(fits).collect()
}

/// Pieces with their length in front, as the targets read them; what is too long is left out.
pub(crate) fn pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut whole = Vec::new();
    for piece in pieces {
        let Ok(len) = u16::try_from(piece.len()) else { continue };
        if whole.len() + piece.len() + 2 < BYTES_MAX {
            whole.extend(len.to_le_bytes());
            whole.extend(piece);
        }
    }
    whole
}
