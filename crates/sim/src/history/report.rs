//! What a check found, and how it is told.

use std::fmt;

use super::counts::Counts;

/// What is checked, in the order of the files that check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// No two grants carry the same token.
    S1Uniqueness,
    /// A grant answered before another was asked for has the smaller token.
    S2RealTime,
    /// At each revision a resource has at most one holder.
    S3Exclusion,
    /// While a client may believe that it holds, nobody else was granted the resource.
    S4Beliefs,
    /// A fenced store refuses what is stale, and nothing else, and keeps what it acknowledged.
    S5FencedStore,
    /// A counter is as large as the increments that were acknowledged.
    S6EndToEnd,
    /// One request id, one token; one write, one effect.
    S7Idempotence,
    /// A no has no effect, a yes has one.
    S8Definite,
    /// A read tells what was current at its revision.
    S9Reads,
    /// Who waits first is granted first.
    S10Fifo,
    /// Answers can be put in the order of their revisions without turning time back.
    RevisionOrder,
}

impl Property {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::S1Uniqueness,
        Self::S2RealTime,
        Self::S3Exclusion,
        Self::S4Beliefs,
        Self::S5FencedStore,
        Self::S6EndToEnd,
        Self::S7Idempotence,
        Self::S8Definite,
        Self::S9Reads,
        Self::S10Fifo,
        Self::RevisionOrder,
    ];
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S1Uniqueness => "S1 uniqueness",
            Self::S2RealTime => "S2 real-time order",
            Self::S3Exclusion => "S3 exclusion",
            Self::S4Beliefs => "S4 beliefs",
            Self::S5FencedStore => "S5 fenced store",
            Self::S6EndToEnd => "S6 end to end",
            Self::S7Idempotence => "S7 idempotence",
            Self::S8Definite => "S8 definite",
            Self::S9Reads => "S9 reads",
            Self::S10Fifo => "S10 first come",
            Self::RevisionOrder => "revision order",
        })
    }
}

/// A promise broken, with the lines that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub property: Property,
    /// The numbers of the lines that contradict each other.
    pub lines: Vec<usize>,
    /// What happened, in a sentence.
    pub story: String,
}

impl Violation {
    pub(crate) fn new(property: Property, lines: &[usize], story: String) -> Self {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines.dedup();
        Self { property, lines, story }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines.iter().map(usize::to_string).collect();
        let word = if lines.len() == 1 { "line" } else { "lines" };
        write!(f, "{}, {word} {}: {}", self.property, lines.join(", "), self.story)
    }
}

/// Everything that was found in a history.
#[derive(Clone, Debug)]
pub struct Report {
    /// What there was to check.
    pub counts: Counts,
    /// Broken promises, in order of property.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether that promise was broken.
    pub fn breaks(&self, property: Property) -> bool {
        self.violations.iter().any(|violation| violation.property == property)
    }
}

/// How many violations of one property are told; the rest are mostly echoes of the first.
const TOLD: usize = 10;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.counts)?;
        for property in Property::ALL {
            let mut found = self.violations.iter().filter(|found| found.property == property);
            for violation in found.by_ref().take(TOLD) {
                writeln!(f, "VIOLATED {violation}")?;
            }
            match found.count() {
                0 => {}
                more => writeln!(f, "VIOLATED {property}: {more} more")?,
            }
        }
        match self.violations.len() {
            0 => write!(f, "no violation of {} properties", Property::ALL.len()),
            1 => write!(f, "1 violation"),
            more => write!(f, "{more} violations"),
        }
    }
}
