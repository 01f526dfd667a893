//! A record stream through appends, crashes and restarts, then one harm done to its files at rest. What
//! was acknowledged is there, or the stream is refused and nothing was modified: the process was killed, so
//! the marks of its last group are on the medium. And whatever bytes a segment file holds, opening it
//! twice gives the same.

use arbitrary::Arbitrary;
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{
    DiskId, GroupPosition, OwnedRecord, Record, RecordRef, RecordStream, StreamOptions,
};

use crate::input::value;

const OPTIONS: StreamOptions = StreamOptions {
    segment_bytes: 40_960,
    step_bytes: 8_192,
    ..StreamOptions::new(DiskId([5; 16]))
};
const STEPS_MAX: usize = 24;
const KIND: u8 = 7;
const CARRIED: u8 = 9;

#[derive(Arbitrary, Debug)]
struct Plan {
    seed: u64,
    steps: Vec<Step>,
    harm: Option<Harm>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Step {
    Append { records: u8, len: u16, seal: bool },
    Reopen,
    Crash { operations: u8 },
    Remove,
    Extend,
}

/// One thing that goes wrong at rest.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Harm {
    Flip { file: u8, bit: u32 },
    Cut { file: u8, len: u32 },
    ZeroBlock { file: u8, block: u8 },
    Swap { one: u8, other: u8 },
    Lose { file: u8 },
}

/// The first byte says whether the others are the contents of a segment's blocks, or a plan.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, body)) => raw(body),
        Some((_, body)) => {
            if let Some(plan) = value::<Plan>(body) {
                Story::new(plan.seed).run(&plan);
            }
        }
        None => {}
    }
}

/// Bytes, with runs of zeros in two bytes, a zero and how many, or from 128 on how many times 64: segments
/// are mostly zeros.
fn raw(body: &[u8]) {
    let mut file = Vec::new();
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            0 => {
                let told = usize::from(*bytes.next().unwrap_or(&1));
                let zeros = if told < 128 { told } else { (told - 127) * 64 };
                file.resize(file.len() + zeros, 0);
            }
            byte => file.push(*byte),
        }
    }
    file.truncate(1 << 16);
    let disk = FakeDisk::new(1);
    let (stream, _, _) = RecordStream::open(disk.mount(), OPTIONS).expect("an empty disk");
    drop(stream);
    disk.overwrite("segment-00000000000000000001", &file).expect("it is there");
    let writes = disk.writes();
    match RecordStream::open(disk.mount(), OPTIONS) {
        Err(_) => assert_eq!(disk.writes(), writes, "modified in spite of a refusal"),
        Ok((stream, records, _)) => {
            drop(stream);
            disk.crash();
            let (_, again, report) = RecordStream::open(disk.mount(), OPTIONS).expect("once more");
            assert_eq!((again, report.torn), (records, None));
        }
    }
}

/// What was acknowledged, group by group.
struct Story {
    disk: FakeDisk,
    acknowledged: Vec<Group>,
    appended: u64,
}

#[derive(Clone, Debug)]
struct Group {
    segment: u64,
    payloads: Vec<Vec<u8>>,
}

impl Story {
    fn new(seed: u64) -> Self {
        Self { disk: FakeDisk::new(seed), acknowledged: Vec::new(), appended: 0 }
    }

    fn run(mut self, plan: &Plan) {
        let (mut stream, _, _) = RecordStream::open(self.disk.mount(), OPTIONS).expect("empty");
        for step in plan.steps.iter().take(STEPS_MAX) {
            match *step {
                Step::Append { records, len, seal } => {
                    assert!(self.append(&mut stream, records, len, seal).is_none(), "it is well");
                }
                Step::Extend => stream.extend_ahead().expect("the disk is well"),
                Step::Remove => self.remove(&mut stream),
                Step::Reopen => stream = self.reopen(None),
                Step::Crash { operations } => {
                    self.disk.lose_power_at(1 + u64::from(operations % 8));
                    let in_flight = self.append(&mut stream, operations % 5 + 1, 700, false);
                    self.disk.crash();
                    stream = self.reopen(in_flight);
                }
            }
        }
        drop(stream);
        self.disk.kill_process();
        if let Some(harm) = plan.harm {
            self.suffer(harm);
        }
    }

    /// `Some` when the disk failed: the group then is there, whole, or is not.
    fn append(
        &mut self,
        stream: &mut RecordStream,
        records: u8,
        len: u16,
        seal: bool,
    ) -> Option<Vec<Vec<u8>>> {
        let payloads: Vec<Vec<u8>> = (0..records % 6)
            .map(|_| {
                self.appended += 1;
                let mut payload = self.appended.to_le_bytes().to_vec();
                payload.resize(8 + usize::from(len % 9_000), 0xcc);
                payload
            })
            .collect();
        if payloads.is_empty() {
            return None;
        }
        let group: Vec<RecordRef<'_>> =
            payloads.iter().map(|payload| RecordRef { kind: KIND, payload }).collect();
        let carry = || vec![OwnedRecord { kind: CARRIED, payload: b"summary".to_vec().into() }];
        match stream.append_group(&group, carry, seal) {
            Ok(GroupPosition { segment, .. }) => {
                self.acknowledged.push(Group { segment, payloads });
                None
            }
            Err(_) => Some(payloads),
        }
    }

    fn remove(&mut self, stream: &mut RecordStream) {
        let Some(Group { segment, .. }) = self.acknowledged.last() else { return };
        let segment = *segment;
        stream
            .remove_segments_before(GroupPosition { segment, offset: 0 })
            .expect("the disk is well");
        self.acknowledged.retain(|group| group.segment >= segment);
    }

    fn reopen(&mut self, in_flight: Option<Vec<Vec<u8>>>) -> RecordStream {
        let (stream, records, _) =
            RecordStream::open(self.disk.mount(), OPTIONS).expect("a crash is no damage");
        let found = payloads(&records);
        let mut expected = self.payloads();
        if found != expected {
            let last = in_flight.expect("nothing was under way");
            expected.extend(last.iter().cloned());
            assert_eq!(found, expected);
            let segment = records.last().map_or(1, |record| record.position.segment);
            self.acknowledged.push(Group { segment, payloads: last });
        }
        stream
    }

    fn payloads(&self) -> Vec<Vec<u8>> {
        self.acknowledged.iter().flat_map(|group| group.payloads.clone()).collect()
    }

    fn suffer(mut self, harm: Harm) {
        let names = self.disk.names();
        let name = |number: u8| &names[usize::from(number) % names.len()];
        let bytes = |name: &str| self.disk.contents(name).expect("it is there");
        match harm {
            Harm::Flip { file, bit } => {
                let len = bytes(name(file)).len() as u64 * 8;
                self.disk.flip_bit(name(file), u64::from(bit) % len.max(1)).expect("there");
            }
            Harm::Cut { file, len } => {
                let len = u64::from(len) % (bytes(name(file)).len() as u64 + 1);
                self.disk.truncate(name(file), len).expect("it is there");
            }
            Harm::ZeroBlock { file, block } => {
                let mut contents = bytes(name(file));
                let start = usize::from(block) * 4_096;
                contents.iter_mut().skip(start).take(4_096).for_each(|byte| *byte = 0);
                self.disk.overwrite(name(file), &contents).expect("it is there");
            }
            Harm::Swap { one, other } => {
                let (first, second) = (bytes(name(one)), bytes(name(other)));
                self.disk.overwrite(name(one), &second).expect("it is there");
                self.disk.overwrite(name(other), &first).expect("it is there");
            }
            Harm::Lose { file } => self.disk.lose(name(file)).expect("it is there"),
        }
        self.judge();
    }

    fn judge(&mut self) {
        let writes = self.disk.writes();
        let opened = RecordStream::open(self.disk.mount(), OPTIONS);
        let Ok((stream, records, _)) = opened else {
            return assert_eq!(self.disk.writes(), writes, "modified in spite of a refusal");
        };
        drop(stream);
        let found = payloads(&records);
        assert_eq!(found, self.payloads(), "what was acknowledged is there, or it is refused");
        let (_, again, report) = RecordStream::open(self.disk.mount(), OPTIONS).expect("again");
        assert_eq!((payloads(&again), report.torn), (found, None), "cut once, and for all");
    }
}

fn payloads(records: &[Record]) -> Vec<Vec<u8>> {
    let own = records.iter().filter(|record| record.kind == KIND);
    own.map(|record| record.payload.to_vec()).collect()
}
