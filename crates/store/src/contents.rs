//! What must be true of the rows of a store, by name, whatever wrote them.

use leasehold_fence::Mark;
use redb::ReadableTable;

use crate::fault::StorageFault;
use crate::group::decode_mark;
use crate::snapshot::Snapshot;

/// No more than this many complaints are collected: a damaged file can have millions.
const COMPLAINTS_MAX: usize = 20;

/// The invariants that do not hold, and where; empty when all is well. Reads everything once.
pub(crate) fn broken_invariants(snapshot: &Snapshot) -> Result<Vec<String>, StorageFault> {
    let counters = snapshot.counters()?;
    let mut broken = Vec::new();
    let mut highest = 0;
    for row in snapshot.marks().iter()? {
        let (resource, mark) = row?;
        let resource = resource.value();
        match decode_mark(resource, mark.value()) {
            Ok((mark, _)) => highest = highest.max(mark.to_parts().0),
            Err(fault) => broken.push(fault.to_string()),
        }
        if broken.len() >= COMPLAINTS_MAX {
            return Ok(broken);
        }
    }
    if highest > counters.highest_token {
        let known = counters.highest_token;
        broken.push(format!("F1: a mark has token {highest}, the highest seen is {known}"));
    }
    let mut last = (String::new(), Mark::NONE);
    for row in snapshot.values().iter()? {
        let (place, value) = row?;
        let ((resource, key), (version, token, _)) = (place.value(), value.value());
        if last.0 != resource {
            last = (resource.to_owned(), snapshot.mark(resource)?);
        }
        let mark = last.1.to_parts().0;
        if token == 0 || token > mark {
            broken.push(format!(
                "F2: {key:?} of {resource:?} was written under token {token}, its mark is {mark}"
            ));
        }
        if version == 0 || version > counters.revision {
            let revision = counters.revision;
            broken.push(format!(
                "{key:?} of {resource:?} has version {version}, the store has revision {revision}"
            ));
        }
        if broken.len() >= COMPLAINTS_MAX {
            break;
        }
    }
    Ok(broken)
}
