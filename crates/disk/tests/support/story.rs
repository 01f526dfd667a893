//! A run against a disk that may fail at any moment, and what must be there afterwards.

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{GroupPosition, OwnedRecord, Record, RecordRef, RecordStream};

use super::{payloads, try_open};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Append a group of records of these payload lengths.
    Append { lens: Vec<usize>, seal: bool },
    /// Remove the segments before that of the last acknowledged group.
    Remove,
    /// Extend ahead.
    Extend,
    /// Open again, as after a clean stop.
    Reopen,
}

/// What was acknowledged, and what was under way when the disk failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// Segment and payload of each record that must be there.
    pub(crate) acknowledged: Vec<(u64, String)>,
    /// The group that was being appended; it may be there, whole.
    pub(crate) in_flight: Vec<String>,
    /// Acknowledged records before this segment may be gone.
    pub(crate) removing: u64,
    appended: u64,
}

impl Story {
    /// Runs `steps`; false if the disk failed before the end.
    pub(crate) fn run(&mut self, disk: &FakeDisk, steps: &[Step]) -> bool {
        let Ok((mut stream, records, _)) = try_open(disk) else { return false };
        self.check(&records);
        self.settle(&records);
        for step in steps {
            let done = match step {
                Step::Append { lens, seal } => self.append(&mut stream, lens, *seal),
                Step::Remove => self.remove(&mut stream),
                Step::Extend => stream.extend_ahead().is_ok(),
                Step::Reopen => try_open(disk).map(|(reopened, _, _)| stream = reopened).is_ok(),
            };
            if !done {
                return false;
            }
        }
        true
    }

    fn append(&mut self, stream: &mut RecordStream, lens: &[usize], seal: bool) -> bool {
        let texts: Vec<String> = lens
            .iter()
            .map(|len| {
                self.appended += 1;
                let text = format!("record {}", self.appended);
                let padding = len.saturating_sub(text.len());
                text + &"x".repeat(padding)
            })
            .collect();
        let records: Vec<RecordRef<'_>> =
            texts.iter().map(|text| RecordRef { kind: 7, payload: text.as_bytes() }).collect();
        let mut carried = Vec::new();
        let carry = || {
            carried =
                vec![format!("vote before {}", texts[0]), format!("purge before {}", texts[0])];
            let owned = |text: &String| OwnedRecord { kind: 9, payload: text.clone().into() };
            carried.iter().map(owned).collect()
        };
        let appended = stream.append_group(&records, carry, seal);
        self.in_flight = carried.into_iter().chain(texts).collect();
        match appended {
            Ok(position) => {
                let group = self.in_flight.drain(..).map(|text| (position.segment, text));
                self.acknowledged.extend(group);
                true
            }
            Err(_) => false,
        }
    }

    fn remove(&mut self, stream: &mut RecordStream) -> bool {
        let Some((segment, _)) = self.acknowledged.last() else { return true };
        self.removing = *segment;
        let removed = stream.remove_segments_before(GroupPosition { segment: *segment, offset: 0 });
        if removed.is_ok() {
            self.acknowledged.retain(|(segment, _)| *segment >= self.removing);
        }
        removed.is_ok()
    }

    /// Everything acknowledged is there, in order, and nothing else but the whole group in flight.
    pub(crate) fn check(&self, found: &[Record]) {
        let found = payloads(found);
        let kept = |(segment, _): &&(u64, String)| *segment >= self.removing;
        let text = |(_, text): &(u64, String)| text.clone();
        let all: Vec<String> = self.acknowledged.iter().map(text).collect();
        let after_removal: Vec<String> = self.acknowledged.iter().filter(kept).map(text).collect();
        let mut allowed = vec![all, after_removal];
        if !self.in_flight.is_empty() {
            let with_in_flight =
                |records: &Vec<String>| [&records[..], &self.in_flight[..]].concat();
            allowed.extend(allowed.clone().iter().map(with_in_flight));
        }
        let shorten = |records: &[String]| -> Vec<String> {
            records.iter().map(|r| r.trim_end_matches('x').to_owned()).collect()
        };
        assert!(
            allowed.contains(&found),
            "found {:?}, allowed {:?}",
            shorten(&found),
            allowed.iter().map(|a| shorten(a)).collect::<Vec<_>>()
        );
    }

    /// What was read back is what counts from now on.
    pub(crate) fn settle(&mut self, found: &[Record]) {
        self.acknowledged =
            found.iter().zip(payloads(found)).map(|(r, text)| (r.position.segment, text)).collect();
        self.in_flight.clear();
    }
}

/// Votes, entries, full segments, purges: everything a log does.
pub(crate) fn script() -> Vec<Step> {
    let append = |lens: &[usize], seal| Step::Append { lens: lens.to_vec(), seal };
    vec![
        append(&[40], true),
        append(&[100, 100, 2_000], false),
        append(&[1_500; 5], false),
        Step::Extend,
        append(&[40], true),
        append(&[4_040, 4_040], false),
        append(&[9_000, 20], false),
        append(&[700; 12], false),
        Step::Reopen,
        append(&[40], true),
        Step::Remove,
        append(&[6_000], false),
        append(&[50_000], false),
        append(&[10], false),
        Step::Remove,
        append(&[10, 10], true),
    ]
}
