//! What was tried and what became of it, by kind of file and kind of damage.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::harm::HarmKind;
use super::trial::Verdict;

/// A row: whose disk, which file, what was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) cluster: &'static str,
    pub(crate) file: &'static str,
    pub(crate) harm: HarmKind,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    cases: u64,
    detected: u64,
    harmless: u64,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    rows: BTreeMap<Row, Counts>,
    /// What was neither detected nor harmless, each with the command that shows it again.
    pub violations: Vec<String>,
}

/// One row for a machine.
#[derive(Serialize)]
struct JsonRow {
    cluster: &'static str,
    file: &'static str,
    damage: &'static str,
    cases: u64,
    detected: u64,
    harmless: u64,
}

/// All of it for a machine.
#[derive(Serialize)]
struct Json<'a> {
    seed: u64,
    corruptions: u64,
    power_cuts: u64,
    detected: u64,
    harmless: u64,
    wrong: usize,
    rows: Vec<JsonRow>,
    violations: &'a [String],
}

impl Report {
    pub(crate) fn count(&mut self, row: Row, verdict: &Verdict) {
        let counts = self.rows.entry(row).or_default();
        counts.cases += 1;
        match verdict {
            Verdict::Detected(_) => counts.detected += 1,
            Verdict::Harmless => counts.harmless += 1,
            Verdict::Wrong(_) => {}
        }
    }

    fn sum(&self, count: impl Fn(&Row, &Counts) -> u64) -> u64 {
        self.rows.iter().map(|(row, counts)| count(row, counts)).sum()
    }

    /// Cases in which bytes at rest were damaged.
    pub fn corruptions(&self) -> u64 {
        self.sum(|row, counts| if row.harm.is_power_cut() { 0 } else { counts.cases })
    }

    /// Cases in which the power went.
    pub fn power_cuts(&self) -> u64 {
        self.sum(|row, counts| if row.harm.is_power_cut() { counts.cases } else { 0 })
    }

    /// Cases that were found.
    pub fn detected(&self) -> u64 {
        self.sum(|_, counts| counts.detected)
    }

    /// Cases that made no difference.
    pub fn harmless(&self) -> u64 {
        self.sum(|_, counts| counts.harmless)
    }

    /// What makes the figures mean nothing: too few cases, kinds without any, verdicts never given.
    pub fn lacks(&self, corruptions: u64, power_cuts: u64) -> Vec<String> {
        let mut lacks = Vec::new();
        if self.corruptions() < corruptions {
            lacks.push(format!("{} corruptions, {corruptions} are asked for", self.corruptions()));
        }
        if self.power_cuts() < power_cuts {
            lacks.push(format!("{} power cuts, {power_cuts} are asked for", self.power_cuts()));
        }
        if self.detected() == 0 {
            lacks.push("nothing was detected".to_owned());
        }
        if self.harmless() == 0 {
            lacks.push("nothing was harmless".to_owned());
        }
        lacks.extend(self.missing());
        lacks
    }

    /// Kinds of files and of damage that were never tried.
    fn missing(&self) -> Vec<String> {
        use HarmKind::*;
        let tried = |cluster: &str, file: &str, harm: HarmKind| {
            self.rows
                .keys()
                .any(|row| row.cluster == cluster && row.file == file && row.harm == harm)
        };
        let mut missing = Vec::new();
        let mut want = |cluster: &str, file: &str, harms: &[HarmKind]| {
            for harm in harms.iter().filter(|harm| !tried(cluster, file, **harm)) {
                missing.push(format!("never tried: {cluster}, {file}, {}", harm.word()));
            }
        };
        for file in super::image::FileKind::AT_REST {
            let every = [Flip, Truncate, ZeroSmall, ZeroLarge, Missing];
            want("three nodes", file.word(), &every);
            want("one node", file.word(), &every);
            want("three nodes", file.word(), &[Foreign]);
        }
        want("three nodes", "segment (older)", &[Swap]);
        want("three nodes", WHOLE, &[OldDisk, LiveCopy, WipedDisk, PowerCutOne, PowerCutAll]);
        want("one node", WHOLE, &[PowerCutAll]);
        for (file, harms) in super::store::MUST {
            want("store", file, harms);
        }
        missing
    }

    /// For a machine.
    pub fn to_json(&self, seed: u64) -> String {
        let row = |(row, counts): (&Row, &Counts)| JsonRow {
            cluster: row.cluster,
            file: row.file,
            damage: row.harm.word(),
            cases: counts.cases,
            detected: counts.detected,
            harmless: counts.harmless,
        };
        let json = Json {
            seed,
            corruptions: self.corruptions(),
            power_cuts: self.power_cuts(),
            detected: self.detected(),
            harmless: self.harmless(),
            wrong: self.violations.len(),
            rows: self.rows.iter().map(row).collect(),
            violations: &self.violations,
        };
        serde_json::to_string_pretty(&json).expect("numbers and words are JSON")
    }
}

/// The row of what is done to a whole disk.
pub(crate) const WHOLE: &str = "the whole disk";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["of", "file", "damage", "cases", "detected", "harmless"];
        let [of, file, damage, cases, detected, harmless] = head;
        writeln!(f, "{of:12} {file:17} {damage:24} {cases:>7} {detected:>8} {harmless:>8}")?;
        for (Row { cluster, file, harm }, Counts { cases, detected, harmless }) in &self.rows {
            let damage = harm.word();
            writeln!(f, "{cluster:12} {file:17} {damage:24} {cases:7} {detected:8} {harmless:8}")?;
        }
        write!(
            f,
            "{} corruptions and {} power cuts: {} detected, {} harmless, {} wrong",
            self.corruptions(),
            self.power_cuts(),
            self.detected(),
            self.harmless(),
            self.violations.len()
        )
    }
}
