//! Whether an old copy of a disk would be refused, and how one would have to lie not to be.

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{
    AdmitError, BootId, DiskId, Identity, OpenError, PeerMemory, RecordRef, RecordStream,
    StreamOptions,
};

/// Whether a node with the disk `by` would refuse node `node` on its next start from `copy`, by what that
/// disk remembers for good: what a process has in memory only may die with it before the two meet. Both
/// are left as they are.
pub(crate) fn is_refused(
    copy: &FakeDisk,
    (cluster, node, disk_id): (&str, u64, DiskId),
    by: &FakeDisk,
) -> bool {
    let mount = copy.image().mount();
    let Ok(mut claimed) = Identity::claim(&*mount, cluster, node, disk_id, BootId([0; 16])) else {
        return false;
    };
    let Ok(found) = groups(copy, disk_id) else { return false };
    if claimed.opened(&*mount, found).is_err() {
        return false;
    }
    let by = by.image();
    by.crash_keeping(|_| false);
    // A memory that cannot be written, since its disk is full or about to fail, knows nothing more for that.
    by.set_capacity(None);
    by.forget_faults();
    let Ok(mut memory) = PeerMemory::open(by.mount()) else { return false };
    // A node never seen has no past to compare with.
    matches!(memory.admit(node, claimed.start), Err(AdmitError::Refused(_)))
}

/// How many groups a start on a copy of this disk would find.
pub(crate) fn groups(disk: &FakeDisk, disk_id: DiskId) -> Result<u64, OpenError> {
    let (stream, _, _) = RecordStream::open(disk.image().mount(), options(disk_id))?;
    Ok(stream.synced_group())
}

/// Lets the log of a disk say as much as peers know of it, and nothing else.
pub(crate) fn grow_to(disk: &FakeDisk, disk_id: DiskId, groups: u64) {
    /// That nothing is known to be committed.
    const NOTHING: RecordRef<'static> = RecordRef { kind: 5, payload: &[0] };
    let opened = RecordStream::open(disk.mount(), options(disk_id));
    let (mut stream, _, _) = opened.expect("a disk that is well");
    while stream.synced_group() < groups {
        stream.append_group(&[NOTHING], Vec::new, false).expect("a disk that is well");
    }
}

/// A stream as small as those here are.
pub(crate) const fn options(disk_id: DiskId) -> StreamOptions {
    StreamOptions { step_bytes: 16 << 10, ..StreamOptions::new(disk_id) }
}
