//! Figures for a ledger: one JSON object in a file.

use std::fs;
use std::path::Path;

/// Writes them if a file was asked for; false, and said why, if that cannot be done.
pub(super) fn write(file: Option<&Path>, figures: &serde_json::Value) -> bool {
    let Some(file) = file else { return true };
    match fs::write(file, format!("{figures}\n")) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("leasehold-sim: {} cannot be written: {error}", file.display());
            false
        }
    }
}
