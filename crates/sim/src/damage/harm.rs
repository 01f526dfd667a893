//! What can be done to the bytes of a disk at rest.

use std::fmt;

use super::history::History;
use super::image::Image;
use super::plant;

/// One thing that is wrong with one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// One bit is turned over.
    Flip { file: String, bit: usize },
    /// A file ends too early.
    Truncate { file: String, len: usize },
    /// A page reads as zeros.
    Zero { file: String, offset: usize, len: usize },
    /// Two files have each other's names.
    Swap { one: String, other: String },
    /// A file is gone.
    Missing { file: String },
    /// A file is another node's.
    Foreign { file: String, from: u64 },
    /// A file is from yesterday, the others are from today.
    Stale { file: String },
    /// The whole disk is from before the node's last start.
    OldDisk,
    /// The whole disk is a copy made while the node ran, and it was not started since.
    LiveCopy,
    /// The disk is empty, and the node is started under its old id.
    WipedDisk,
    /// The power goes: the photograph with this number.
    PowerCut { photograph: usize, all: bool },
    /// A check that is left out, imitated by damage that it alone would have found.
    Planted(plant::Plant),
}

/// Kinds of damage, for the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HarmKind {
    Flip,
    Truncate,
    ZeroSmall,
    ZeroLarge,
    Swap,
    Missing,
    Foreign,
    Stale,
    OldDisk,
    LiveCopy,
    WipedDisk,
    PowerCutOne,
    PowerCutAll,
    Planted,
}

impl HarmKind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Flip => "bit flipped",
            Self::Truncate => "cut short",
            Self::ZeroSmall => "512 bytes zeroed",
            Self::ZeroLarge => "4 KiB zeroed",
            Self::Swap => "two swapped",
            Self::Missing => "missing",
            Self::Foreign => "another's",
            Self::Stale => "yesterday's",
            Self::OldDisk => "whole disk of yesterday",
            Self::LiveCopy => "whole disk copied live",
            Self::WipedDisk => "wiped under the old id",
            Self::PowerCutOne => "power of one cut",
            Self::PowerCutAll => "power of all cut",
            Self::Planted => "planted",
        }
    }

    /// Power cuts are no corruptions.
    pub(crate) const fn is_power_cut(self) -> bool {
        matches!(self, Self::PowerCutOne | Self::PowerCutAll)
    }
}

impl Harm {
    pub(crate) fn kind(&self) -> HarmKind {
        match self {
            Self::Flip { .. } => HarmKind::Flip,
            Self::Truncate { .. } => HarmKind::Truncate,
            Self::Zero { len: 512, .. } => HarmKind::ZeroSmall,
            Self::Zero { .. } => HarmKind::ZeroLarge,
            Self::Swap { .. } => HarmKind::Swap,
            Self::Missing { .. } => HarmKind::Missing,
            Self::Foreign { .. } => HarmKind::Foreign,
            Self::Stale { .. } => HarmKind::Stale,
            Self::OldDisk => HarmKind::OldDisk,
            Self::LiveCopy => HarmKind::LiveCopy,
            Self::WipedDisk => HarmKind::WipedDisk,
            Self::PowerCut { all: false, .. } => HarmKind::PowerCutOne,
            Self::PowerCut { all: true, .. } => HarmKind::PowerCutAll,
            Self::Planted(_) => HarmKind::Planted,
        }
    }

    /// The file it is about, if it is about one.
    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Flip { file, .. }
            | Self::Truncate { file, .. }
            | Self::Zero { file, .. }
            | Self::Missing { file }
            | Self::Foreign { file, .. }
            | Self::Stale { file }
            | Self::Swap { one: file, .. } => Some(file),
            Self::OldDisk
            | Self::LiveCopy
            | Self::WipedDisk
            | Self::PowerCut { .. }
            | Self::Planted(_) => None,
        }
    }

    /// Does it to the image of `node`. False: it changes nothing, so there is nothing to try.
    pub(crate) fn strike(&self, image: &mut Image, node: u64, history: &History) -> bool {
        match self {
            Self::Flip { file, bit } => {
                image.change(file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8))
            }
            Self::Truncate { file, len } => image.change(file, |bytes| bytes.truncate(*len)),
            Self::Zero { file, offset, len } => image.change(file, |bytes| {
                let end = (offset + len).min(bytes.len());
                bytes[*offset..end].fill(0);
            }),
            Self::Swap { one, other } => {
                let (Some(first), Some(second)) = (image.get(one), image.get(other)) else {
                    return false;
                };
                let (first, second) = (first.to_vec(), second.to_vec());
                image.put(one, second);
                image.put(other, first);
                true
            }
            Self::Missing { file } => {
                image.remove(file);
                true
            }
            Self::Foreign { file, from } => replace(image, file, history.today.get(from)),
            Self::Stale { file } => replace(image, file, history.yesterday.get(&node)),
            Self::OldDisk => replace_all(image, history.yesterday.get(&node)),
            Self::LiveCopy => replace_all(image, history.live_copies.get(&node)),
            Self::WipedDisk => {
                *image = Image::default();
                true
            }
            Self::PowerCut { .. } => true,
            Self::Planted(plant) => plant.strike(image, node, history),
        }
    }
}

/// The whole disk.
pub(super) fn replace_all(image: &mut Image, by: Option<&Image>) -> bool {
    by.is_some_and(|by| {
        *image = by.clone();
        true
    })
}

fn replace(image: &mut Image, file: &str, from: Option<&Image>) -> bool {
    match from.and_then(|from| from.get(file)) {
        Some(bytes) => {
            let bytes = bytes.to_vec();
            image.change(file, |now| *now = bytes)
        }
        None => false,
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip { file, bit } => write!(f, "bit {bit} of {file} flipped"),
            Self::Truncate { file, len } => write!(f, "{file} cut to {len} bytes"),
            Self::Zero { file, offset, len } => {
                write!(f, "{len} bytes of {file} zeroed at {offset}")
            }
            Self::Swap { one, other } => write!(f, "{one} and {other} swapped"),
            Self::Missing { file } => write!(f, "{file} missing"),
            Self::Foreign { file, from } => write!(f, "{file} is node {from}'s"),
            Self::Stale { file } => write!(f, "{file} is yesterday's"),
            Self::OldDisk => f.write_str("the whole disk is yesterday's"),
            Self::LiveCopy => f.write_str("the whole disk is a copy made while the node ran"),
            Self::WipedDisk => f.write_str("the disk is empty"),
            Self::PowerCut { photograph, all } => {
                let whose = if *all { "of all" } else { "of one" };
                write!(f, "power {whose} cut at step {photograph}")
            }
            Self::Planted(plant) => write!(f, "planted: {plant}"),
        }
    }
}
