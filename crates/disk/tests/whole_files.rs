//! Whole files: the old payload or the new, never neither, never a mixture.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{
    AdmitError, Admitted, AtomicWriter, BootId, DiskFault, DiskId, Identity, IdentityError, Past,
    PeerMemory, PeerRefused, ReadError, STARTS_KEPT, Start, read_checked, remove_temporaries,
    replace_atomically,
};

const DISK: DiskId = DiskId([1; 16]);
const OTHER_DISK: DiskId = DiskId([2; 16]);
const BOOT: BootId = BootId([3; 16]);
const OTHER_BOOT: BootId = BootId([4; 16]);

/// A start after others that were all the run `BOOT`.
fn start(disk_id: DiskId, incarnation: u64, boot_id: BootId) -> Start {
    let past = (1..incarnation).fold(Past::default(), |past, _| past.and_then(BOOT, 0));
    Start { disk_id, incarnation, boot_id, recovered: 0, past }
}

/// The memory of a node that was never started before on this empty disk.
fn memory_of_a_node(disk: &FakeDisk) -> PeerMemory {
    Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap();
    PeerMemory::open(disk.mount()).unwrap()
}

fn read(disk: &FakeDisk, name: &str) -> Option<Vec<u8>> {
    read_checked(&*disk.mount(), name).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_power_cut_at_any_step_of_a_replacement_leaves_the_old_payload_or_the_new() {
    let (old, new) = (vec![b'o'; 9_000], vec![b'n'; 7_000]);
    let (mut olds, mut news) = (0, 0);
    for old in [None, Some(old)] {
        for operation in 1..=6 {
            for seed in 0..100 {
                let disk = FakeDisk::new(seed);
                if let Some(old) = &old {
                    replace_atomically(&*disk.mount(), "file", old).unwrap();
                }
                disk.lose_power_at(operation);
                replace_atomically(&*disk.mount(), "file", &new).unwrap_err();
                disk.crash();
                let found = read(&disk, "file");
                assert!(
                    found == old || found.as_ref() == Some(&new),
                    "operation {operation} seed {seed}"
                );
                if found == old {
                    olds += 1
                } else {
                    news += 1
                }
                remove_temporaries(&*disk.mount()).unwrap();
                assert_eq!(disk.names(), if found.is_some() { vec!["file"] } else { vec![] });
            }
        }
    }
    assert!(olds > 500 && news > 50, "{olds} old, {news} new");
    let disk = FakeDisk::new(1);
    replace_atomically(&*disk.mount(), "file", &new).unwrap();
    assert_eq!(disk.writes() + disk.syncs(), 6, "the steps counted above are all there are");
    disk.crash_keeping(|_| false);
    assert_eq!(read(&disk, "file"), Some(new));
}

#[test]
fn a_failed_write_or_sync_leaves_the_old_payload_or_the_new() {
    for n in 1..=4 {
        for plan in [FakeDisk::fail_write_at, FakeDisk::fail_sync_at] {
            let disk = FakeDisk::new(n);
            replace_atomically(&*disk.mount(), "file", b"old").unwrap();
            plan(&disk, n);
            let result = replace_atomically(&*disk.mount(), "file", b"new");
            disk.crash();
            let found = read(&disk, "file").unwrap();
            assert!(found == b"new" || (found == b"old" && result.is_err()));
        }
    }
}

#[test]
fn every_bit_flip_and_every_cut_of_a_whole_file_is_found() {
    let disk = FakeDisk::new(1);
    replace_atomically(&*disk.mount(), "file", b"some payload").unwrap();
    let len = disk.contents("file").unwrap().len() as u64;
    for bit in 0..len * 8 {
        let disk = disk.image();
        disk.flip_bit("file", bit).unwrap();
        let error = read_checked(&*disk.mount(), "file").unwrap_err();
        assert!(
            matches!(&error, ReadError::Damaged { file, .. } if file == "file"),
            "bit {bit}: {error}"
        );
    }
    for cut in 0..len {
        let disk = disk.image();
        disk.truncate("file", cut).unwrap();
        assert!(
            matches!(read_checked(&*disk.mount(), "file"), Err(ReadError::Damaged { .. })),
            "{cut}"
        );
    }
}

#[test]
fn a_whole_file_copied_over_another_is_found() {
    let disk = FakeDisk::new(1);
    replace_atomically(&*disk.mount(), "one", b"same").unwrap();
    replace_atomically(&*disk.mount(), "two", b"same").unwrap();
    disk.overwrite("two", &disk.contents("one").unwrap()).unwrap();
    assert!(matches!(read_checked(&*disk.mount(), "two"), Err(ReadError::Damaged { .. })));
}

#[test]
fn a_payload_written_in_pieces_is_the_same_as_in_one() {
    let disk = FakeDisk::new(1);
    let mount = disk.mount();
    let payload: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut writer = AtomicWriter::create(&*mount, "pieces").unwrap();
    payload.chunks(7_777).for_each(|piece| writer.write(piece).unwrap());
    assert_eq!(read(&disk, "pieces"), None, "nothing is visible before it is whole");
    writer.commit().unwrap();
    assert_eq!(read(&disk, "pieces"), Some(payload));
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_one_that_is_not_there() {
    let disk = FakeDisk::new(1);
    let before = disk.mount();
    replace_atomically(&*before, "file", b"payload").unwrap();
    disk.kill_process();
    let error = read_checked(&*before, "file").unwrap_err();
    assert!(matches!(error, ReadError::Fault(_)), "{error}");
    assert_eq!(read(&disk, "missing"), None);
}

#[test]
fn what_interrupted_replacements_left_is_counted_and_gone_for_good() {
    let disk = FakeDisk::new(1);
    let mount = disk.mount();
    replace_atomically(&*mount, "whole", b"payload").unwrap();
    let syncs = disk.syncs();
    assert_eq!(remove_temporaries(&*mount).unwrap(), 0);
    assert_eq!(disk.syncs(), syncs, "nothing was removed, so nothing is synced");
    for name in ["one", "two", "three"] {
        drop(AtomicWriter::create(&*mount, name).unwrap());
    }
    mount.sync_directory().unwrap();
    assert_eq!(remove_temporaries(&*mount).unwrap(), 3);
    disk.crash_keeping(|_| false);
    assert_eq!(disk.names(), ["whole"]);
}

#[test]
fn a_disk_is_claimed_once_and_started_many_times() {
    let disk = FakeDisk::new(1);
    let mut past = Past::default();
    for incarnation in 1..2 * STARTS_KEPT {
        let fresh = if incarnation == 1 { DISK } else { OTHER_DISK };
        let boot_id = BootId(u128::from(incarnation).to_le_bytes());
        let mut claimed = Identity::claim(&*disk.mount(), "prod", 7, fresh, boot_id).unwrap();
        let recovered = Start::UNOPENED;
        let start = Start { disk_id: DISK, incarnation, boot_id, recovered, past: past.clone() };
        let expected = Identity { cluster_id: "prod".into(), node_id: 7, start };
        assert_eq!(claimed, expected, "a later fresh disk id is not used, every run is kept");
        // Not every run comes so far as to open the stream.
        let recovered = if incarnation % 3 == 0 { Start::UNOPENED } else { incarnation };
        if recovered == incarnation {
            claimed.opened(&*disk.mount(), recovered).unwrap();
        }
        past = past.and_then(boot_id, recovered);
        disk.crash();
    }
}

#[test]
fn a_disk_of_another_cluster_or_node_is_refused_and_left_as_it_is() {
    let disk = FakeDisk::new(1);
    Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap();
    let writes = disk.writes();
    let refused = |cluster, node| {
        Identity::claim(&*disk.mount(), cluster, node, DISK, BOOT).unwrap_err().to_string()
    };
    assert_eq!(
        refused("test", 7),
        r#"the data directory belongs to cluster "prod", this node is configured for "test"; check `cluster_id` and `data_dir`"#
    );
    assert_eq!(
        refused("prod", 8),
        "the data directory belongs to node 7, this node is configured as 8; check `node_id` and `data_dir`"
    );
    assert_eq!(disk.writes(), writes);
}

#[test]
fn a_directory_with_files_but_without_identity_is_refused() {
    for file in
        ["segment-00000000000000000001", "snapshot-12", "stream-manifest", "snapshot-12.new"]
    {
        let disk = FakeDisk::new(1);
        replace_atomically(&*disk.mount(), file, b"x").unwrap();
        let refused = Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap_err();
        assert!(
            matches!(&refused, IdentityError::Forgotten { example } if example == file),
            "{refused}"
        );
    }
}

#[test]
fn an_incarnation_is_never_given_twice_whatever_the_power_does() {
    for seed in 0..300 {
        let disk = FakeDisk::new(seed);
        let mut last = 0;
        for life in 0..24 {
            disk.lose_power_at(1 + (seed + life) % 20);
            if let Ok(identity) = Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT) {
                assert!(identity.start.incarnation > last);
                last = identity.start.incarnation;
            }
            disk.crash();
        }
        assert!(last > 0, "some claim got through");
    }
}

#[test]
fn a_bad_cluster_id_is_refused() {
    for bad in [String::new(), "c".repeat(257)] {
        let disk = FakeDisk::new(1);
        let refused = Identity::claim(&*disk.mount(), &bad, 7, DISK, BOOT).unwrap_err();
        assert!(matches!(refused, IdentityError::BadClusterId { bytes } if bytes == bad.len()));
        assert!(disk.names().is_empty());
    }
}

#[test]
fn a_damaged_identity_is_named() {
    let disk = FakeDisk::new(1);
    Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap();
    disk.flip_bit("identity", 400).unwrap();
    let refused = Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap_err();
    assert!(matches!(refused, IdentityError::Read(ReadError::Damaged { .. })), "{refused}");
}

#[test]
fn a_peer_is_remembered_across_restarts_and_only_its_later_starts_are_believed() {
    let disk = FakeDisk::new(1);
    Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap();
    let admit = |node, disk_id, incarnation, boot| {
        let mut memory = PeerMemory::open(disk.mount()).unwrap();
        let admitted = memory.admit(node, start(disk_id, incarnation, boot));
        disk.crash_keeping(|_| false);
        admitted
    };
    assert_eq!(admit(2, DISK, 3, BOOT).unwrap(), Admitted::Remembered);
    assert_eq!(admit(2, DISK, 3, BOOT).unwrap(), Admitted::Known);
    assert_eq!(admit(3, OTHER_DISK, 1, OTHER_BOOT).unwrap(), Admitted::Remembered);

    let refusal = |refused: Result<Admitted, AdmitError>| match refused.unwrap_err() {
        AdmitError::Refused(refusal) => refusal,
        AdmitError::Fault(fault) => panic!("{fault}"),
    };
    assert_eq!(
        refusal(admit(2, OTHER_DISK, 9, BOOT)),
        PeerRefused::OtherDisk { node_id: 2, presented: OTHER_DISK, remembered: DISK }
    );
    assert_eq!(
        refusal(admit(2, DISK, 2, BOOT)),
        PeerRefused::OldIncarnation { node_id: 2, presented: 2, remembered: 3 }
    );
    assert_eq!(
        refusal(admit(2, DISK, 3, OTHER_BOOT)),
        PeerRefused::TwoCopies {
            node_id: 2,
            incarnation: 3,
            presented: OTHER_BOOT,
            remembered: BOOT
        }
    );
    assert_eq!(admit(2, DISK, 4, OTHER_BOOT).unwrap(), Admitted::Remembered);
    assert_eq!(
        refusal(admit(2, DISK, 3, BOOT)),
        PeerRefused::OldIncarnation { node_id: 2, presented: 3, remembered: 4 }
    );
    for presented in 5..10 {
        let other_past =
            PeerRefused::OtherPast { node_id: 2, presented, remembered: 4, run: OTHER_BOOT };
        assert_eq!(refusal(admit(2, DISK, presented, BOOT)), other_past);
    }
}

#[test]
fn a_memory_of_peers_without_an_identity_is_not_an_empty_disk() {
    let disk = FakeDisk::new(1);
    let mut memory = memory_of_a_node(&disk);
    memory.admit(2, start(OTHER_DISK, 3, BOOT)).unwrap();
    disk.lose("identity").unwrap();
    let refused = Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap_err();
    assert!(matches!(refused, IdentityError::Forgotten { .. }), "{refused}");
}

#[test]
fn everybody_seen_or_heard_of_is_told_with_the_latest_start() {
    let disk = FakeDisk::new(1);
    let mut memory = memory_of_a_node(&disk);
    assert_eq!(memory.seen().count(), 0);
    memory.admit(2, start(DISK, 3, BOOT)).unwrap();
    memory.admit(2, start(DISK, 4, BOOT)).unwrap();
    assert!(memory.hear(3, start(OTHER_DISK, 1, OTHER_BOOT)).unwrap());
    let seen: Vec<_> = memory.seen().map(|(node, start)| (node, start.clone())).collect();
    assert_eq!(seen, [(2, start(DISK, 4, BOOT)), (3, start(OTHER_DISK, 1, OTHER_BOOT))]);
}

#[test]
fn what_was_seen_of_a_disk_that_is_not_the_peers_is_dropped_and_nothing_else() {
    let disk = FakeDisk::new(1);
    let mut memory = memory_of_a_node(&disk);
    memory.admit(2, start(DISK, 3, BOOT)).unwrap();
    memory.settle(2, DISK);
    memory.settle(3, DISK);
    assert_eq!(memory.admit(2, start(DISK, 3, BOOT)).unwrap(), Admitted::Known);
    memory.settle(2, OTHER_DISK);
    assert_eq!(memory.admit(2, start(OTHER_DISK, 1, BOOT)).unwrap(), Admitted::Remembered);
    memory.admit(2, start(DISK, 4, BOOT)).unwrap_err();
}

#[test]
fn a_refusal_is_written_only_where_it_stands_on_something_that_is_not() {
    let disk = FakeDisk::new(1);
    let mut memory = memory_of_a_node(&disk);
    memory.admit(2, start(DISK, 3, BOOT)).unwrap();
    let writes_of_a_refusal = |memory: &mut PeerMemory| {
        let before = disk.writes();
        memory.admit(2, start(OTHER_DISK, 1, BOOT)).unwrap_err();
        disk.writes() - before
    };
    assert_eq!(writes_of_a_refusal(&mut memory), 0);
    memory.reached(2).unwrap().raise(5);
    assert!(writes_of_a_refusal(&mut memory) > 0);
    assert_eq!(writes_of_a_refusal(&mut memory), 0);
}

#[test]
fn an_old_copy_is_refused_however_often_it_is_started_and_the_disk_itself_believed() {
    let disk = FakeDisk::new(1);
    let mut runs = 0;
    let mut claim = |disk: &FakeDisk| {
        runs += 1;
        let boot = BootId(u128::to_le_bytes(runs));
        let mut claimed = Identity::claim(&*disk.mount(), "prod", 2, DISK, boot).unwrap();
        claimed.opened(&*disk.mount(), 0).unwrap();
        claimed.start
    };
    for _ in 0..3 {
        claim(&disk);
    }
    let copy = disk.image();
    let peer = FakeDisk::new(2);
    Identity::claim(&*peer.mount(), "prod", 7, OTHER_DISK, BOOT).unwrap();
    let mut memory = PeerMemory::open(peer.mount()).unwrap();
    memory.admit(2, claim(&disk)).unwrap();
    for _ in 0..STARTS_KEPT {
        let told = claim(&copy);
        assert!(!memory.hear(2, told.clone()).unwrap(), "{told:?}");
        let refused = memory.admit(2, told).unwrap_err();
        assert!(
            refused.to_string().ends_with("this is an old copy of its disk")
                || matches!(refused, AdmitError::Refused(PeerRefused::TwoCopies { .. })),
            "{refused}"
        );
    }
    for _ in 0..STARTS_KEPT {
        claim(&disk);
    }
    assert_eq!(memory.admit(2, claim(&disk)).unwrap(), Admitted::Remembered);
}

#[test]
fn a_copy_made_while_the_node_ran_is_refused_however_much_it_grows_and_the_refusal_is_durable() {
    let disk = FakeDisk::new(1);
    let mut runs = 0;
    let mut open = |disk: &FakeDisk, recovered| {
        runs += 1;
        let boot = BootId(u128::to_le_bytes(runs));
        let mut claimed = Identity::claim(&*disk.mount(), "prod", 2, DISK, boot).unwrap();
        claimed.opened(&*disk.mount(), recovered).unwrap();
        claimed.start
    };
    let peer = FakeDisk::new(2);
    Identity::claim(&*peer.mount(), "prod", 7, OTHER_DISK, BOOT).unwrap();
    let mut memory = PeerMemory::open(peer.mount()).unwrap();
    memory.admit(2, open(&disk, 10)).unwrap();
    let copy = disk.image();
    memory.reached(2).unwrap().raise(25);
    assert!(memory.is_due(2, 15) && !memory.is_due(2, 16));

    let told = open(&copy, 24);
    assert!(!memory.hear(2, told.clone()).unwrap());
    let refused = memory.admit(2, told.clone()).unwrap_err();
    let shorter = PeerRefused::ShorterLog { node_id: 2, presented: 24, remembered: 25 };
    assert!(matches!(&refused, AdmitError::Refused(refused) if *refused == shorter), "{refused}");
    assert!(
        refused.to_string().contains("old copy") && refused.to_string().contains("put the disk")
    );
    // Whoever refused it once does so after its own power cut, and after the copy has grown.
    peer.crash_keeping(|_| false);
    let mut memory = PeerMemory::open(peer.mount()).unwrap();
    for grown in [24, 25, 1_000] {
        let refused = memory.admit(2, open(&copy, grown)).unwrap_err();
        assert!(
            matches!(&refused, AdmitError::Refused(refused) if *refused == shorter),
            "{refused}"
        );
    }
    // The disk itself has them all, though one of its runs never came to open the stream.
    Identity::claim(&*disk.mount(), "prod", 2, DISK, OTHER_BOOT).unwrap();
    assert_eq!(memory.admit(2, open(&disk, 25)).unwrap(), Admitted::Remembered);
    assert_eq!(memory.reached(2).unwrap().get(), 25);
}

#[test]
fn a_memory_that_is_missing_is_damage_and_not_an_empty_one() {
    let disk = FakeDisk::new(1);
    let missing = |disk: &FakeDisk| PeerMemory::open(disk.mount()).unwrap_err();
    assert!(matches!(missing(&disk), ReadError::Damaged { .. }));
    for _ in 0..2 {
        Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap();
        PeerMemory::open(disk.mount()).unwrap();
    }
    disk.lose("peers").unwrap();
    Identity::claim(&*disk.mount(), "prod", 7, DISK, BOOT).unwrap();
    let missing = missing(&disk).to_string();
    assert!(missing.contains("peers") && missing.contains("missing"), "{missing}");
}

#[test]
fn hearsay_tells_of_later_starts_and_never_outweighs_what_was_seen() {
    let disk = FakeDisk::new(1);
    let mut memory = memory_of_a_node(&disk);
    memory.admit(2, start(DISK, 3, BOOT)).unwrap();
    assert!(!memory.hear(2, start(DISK, 3, OTHER_BOOT)).unwrap());
    assert!(!memory.hear(2, start(DISK, 2, OTHER_BOOT)).unwrap());
    assert!(!memory.hear(2, start(OTHER_DISK, 9, OTHER_BOOT)).unwrap());
    assert_eq!(memory.admit(2, start(DISK, 3, BOOT)).unwrap(), Admitted::Known);
    assert!(memory.hear(2, start(DISK, 4, OTHER_BOOT)).unwrap());
    assert!(memory.hear(3, start(OTHER_DISK, 5, BOOT)).unwrap());
    disk.crash_keeping(|_| false);
    let mut memory = PeerMemory::open(disk.mount()).unwrap();
    assert!(matches!(
        memory.admit(2, start(DISK, 3, BOOT)),
        Err(AdmitError::Refused(PeerRefused::OldIncarnation { remembered: 4, .. }))
    ));
    assert_eq!(memory.admit(3, start(OTHER_DISK, 5, BOOT)).unwrap(), Admitted::Known);
}

#[test]
fn a_peer_that_could_not_be_remembered_is_not_believed() {
    let disk = FakeDisk::new(1);
    let mut memory = memory_of_a_node(&disk);
    memory.admit(2, start(DISK, 1, BOOT)).unwrap();
    disk.fail_sync_at(1);
    let failed = memory.admit(2, start(DISK, 2, OTHER_BOOT)).unwrap_err();
    assert!(matches!(failed, AdmitError::Fault(DiskFault::Failed { .. })));
    for incarnation in [1, 2, 3] {
        let latched = memory.admit(2, start(DISK, incarnation, BOOT)).unwrap_err();
        assert!(matches!(latched, AdmitError::Fault(DiskFault::Latched { .. })));
    }
}
