//! Of many rounds: medians, what they lie between, and ratios.
//!
//! A ratio compares the two figures of one round, since they were made minutes apart on the same
//! machine; the table has the median of the rounds' ratios. It says how many times better the first
//! system is, whether more is better or less.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

/// One row of one round, as `leasehold bench` and `load` print it, with what `bench/run` adds.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) round: u32,
    /// The column.
    pub(crate) system: String,
    pub(crate) workload: String,
    pub(crate) clients: u32,
    pub(crate) measure: String,
    pub(crate) outcome: String,
    pub(crate) count: u64,
    pub(crate) per_second: Option<f64>,
    pub(crate) latency_us: Option<Latency>,
    /// How many cores the system's processes used meanwhile.
    pub(crate) servers_cores: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// What is compared of one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    PerSecond,
    P50,
    P99,
    Cpu,
}

/// A workload, the measure of it that is compared, and what one of it is called.
pub(crate) const WORKLOADS: [(&str, &str, &str); 4] = [
    ("pair", "pair", "acquire + release"),
    ("handover", "handover", "hand-over"),
    ("renew", "renew", "renewal"),
    ("store", "write", "fenced write"),
];

impl Quantity {
    const ALL: [Self; 4] = [Self::PerSecond, Self::P50, Self::P99, Self::Cpu];

    const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "a second",
            Self::P50 => "p50, ms",
            Self::P99 => "p99, ms",
            Self::Cpu => "servers' CPU each, µs",
        }
    }

    fn of(self, row: &Row) -> Option<f64> {
        match self {
            Self::PerSecond => row.per_second,
            Self::P50 => row.latency_us.map(|latency| latency.p50 / 1e3),
            Self::P99 => row.latency_us.map(|latency| latency.p99 / 1e3),
            Self::Cpu => Some(row.servers_cores? * 1e6 / row.per_second.filter(|it| *it > 0.0)?),
        }
    }

    fn ratio(self, first: f64, other: f64) -> f64 {
        match self {
            Self::PerSecond => first / other,
            Self::P50 | Self::P99 | Self::Cpu => other / first,
        }
    }
}

/// One figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// How many times better the first system is; absent for the first itself.
    pub(crate) ratio: Option<f64>,
}

/// A workload with so many clients.
pub(crate) type Cell = (usize, u32);

/// All figures.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// In the order of their turns.
    pub(crate) systems: Vec<String>,
    pub(crate) figures: BTreeMap<(Cell, Quantity, usize), Summary>,
    /// What did not do what it was asked to, by system, cell and outcome.
    pub(crate) failures: BTreeMap<(usize, Cell, String), u64>,
}

/// Middle of a list that is not empty.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

impl Table {
    pub(crate) fn of(rows: &[Row]) -> Self {
        let mut systems: Vec<String> = Vec::new();
        let mut rounds: BTreeMap<(Cell, Quantity, usize), BTreeMap<u32, f64>> = BTreeMap::new();
        let mut failures = BTreeMap::new();
        for row in rows {
            let known = systems.iter().position(|system| *system == row.system);
            let system = known.unwrap_or_else(|| {
                systems.push(row.system.clone());
                systems.len() - 1
            });
            let Some(workload) = WORKLOADS.iter().position(|(name, ..)| *name == row.workload)
            else {
                continue;
            };
            let cell = (workload, row.clients);
            if row.outcome != "ok" {
                let outcome = format!("{} {}", row.measure, row.outcome);
                *failures.entry((system, cell, outcome)).or_insert(0) += row.count;
                continue;
            }
            if row.measure != WORKLOADS[workload].1 {
                continue;
            }
            for quantity in Quantity::ALL {
                if let Some(value) = quantity.of(row) {
                    rounds.entry((cell, quantity, system)).or_default().insert(row.round, value);
                }
            }
        }
        let figures = rounds.iter().map(|(key, values)| {
            let (cell, quantity, system) = *key;
            let first = rounds.get(&(cell, quantity, 0)).filter(|_| system != 0);
            (*key, summary(quantity, values, first))
        });
        Self { figures: figures.collect(), systems, failures }
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = "| | clients | |".to_owned();
        for system in &self.systems {
            let _ = write!(text, " {system} |");
        }
        text += "\n|---|---:|---|";
        text += &"---:|".repeat(self.systems.len());
        text.push('\n');
        let mut cells: Vec<Cell> = self.figures.keys().map(|(cell, ..)| *cell).collect();
        cells.dedup();
        for cell in cells {
            for quantity in Quantity::ALL {
                let figures: Vec<_> = (0..self.systems.len())
                    .map(|system| self.figures.get(&(cell, quantity, system)))
                    .collect();
                if figures.iter().all(Option::is_none) {
                    continue;
                }
                let (what, clients) = match quantity {
                    Quantity::PerSecond => (WORKLOADS[cell.0].2, grouped(f64::from(cell.1))),
                    _ => ("", String::new()),
                };
                let _ = write!(text, "| {what} | {clients} | {} |", quantity.name());
                for figure in figures {
                    let _ = write!(text, " {} |", figure.map_or_else(|| "-".into(), Summary::text));
                }
                text.push('\n');
            }
        }
        text
    }

    /// What failed, a line each.
    pub(crate) fn failures_text(&self) -> String {
        let mut text = String::new();
        for ((system, (workload, clients), outcome), count) in &self.failures {
            let (system, workload) = (&self.systems[*system], WORKLOADS[*workload].0);
            let count = grouped(*count as f64);
            let _ = writeln!(text, "- {system}, `{workload}` of {clients}: {count} x {outcome}");
        }
        text
    }
}

fn summary(
    quantity: Quantity,
    rounds: &BTreeMap<u32, f64>,
    first: Option<&BTreeMap<u32, f64>>,
) -> Summary {
    let mut values: Vec<f64> = rounds.values().copied().collect();
    let mut ratios: Vec<f64> = first
        .into_iter()
        .flatten()
        .filter_map(|(round, first)| Some(quantity.ratio(*first, *rounds.get(round)?)))
        .collect();
    let ratio = (!ratios.is_empty()).then(|| median(&mut ratios));
    let median = median(&mut values);
    // Sorted by now, and not empty: a key comes with its first value.
    Summary { median, least: values[0], most: values[values.len() - 1], ratio }
}

impl Summary {
    /// `2,710 (2,650 to 2,790), 37x`.
    fn text(&self) -> String {
        let Self { median, least, most, ratio } = self;
        let mut text = format!("**{}**", short(*median));
        if least < most {
            let _ = write!(text, " ({} to {})", short(*least), short(*most));
        }
        if let Some(ratio) = ratio {
            let _ = write!(text, ", {}x", short(*ratio));
        }
        text
    }
}

/// Three digits that say something, thousands set apart.
pub(crate) fn short(value: f64) -> String {
    if value <= 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let magnitude = value.log10().floor() as i32;
    let step = 10_f64.powi(magnitude - 2);
    let rounded = (value / step).round() * step;
    match 2 - magnitude {
        decimals @ 1.. => format!("{rounded:.*}", decimals.unsigned_abs() as usize),
        _ => grouped(rounded),
    }
}

/// `12,345`.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(round: u32, system: &str, clients: u32, per_second: f64) -> Row {
        let text = format!(
            r#"{{"round": {round}, "system": "{system}", "workload": "pair", "clients": {clients},
                 "measure": "pair", "outcome": "ok", "count": 7, "per_second": {per_second},
                 "latency_us": {{"p50": {}, "p99": 5000}}, "servers_cores": 0.5, "more": null}}"#,
            1e6 / per_second
        );
        serde_json::from_str(&text).expect("a row")
    }

    #[test]
    fn a_figure_is_the_median_of_its_rounds() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
    }

    #[test]
    fn a_ratio_compares_figures_of_one_round_and_says_how_much_better_the_first_is() {
        let rows = [
            row(1, "ours", 64, 100.0),
            row(1, "theirs", 64, 50.0),
            row(2, "ours", 64, 300.0),
            row(2, "theirs", 64, 100.0),
            row(3, "ours", 64, 100.0),
            row(3, "theirs", 64, 10.0),
        ];
        let table = Table::of(&rows);
        assert_eq!(table.systems, ["ours", "theirs"]);
        let rate = table.figures[&((0, 64), Quantity::PerSecond, 1)];
        let wanted = Summary { median: 50.0, least: 10.0, most: 100.0, ratio: Some(3.0) };
        assert_eq!(rate, wanted, "2x, 3x and 10x, not 100 / 50");
        assert_eq!(table.figures[&((0, 64), Quantity::PerSecond, 0)].ratio, None);
        let latency = table.figures[&((0, 64), Quantity::P50, 1)].ratio.expect("both have it");
        assert!((latency - 3.0).abs() < 1e-9, "{latency}: less is better");
        let cpu = table.figures[&((0, 64), Quantity::Cpu, 0)];
        assert!((cpu.median - 5_000.0).abs() < 1e-9, "half a core for a hundred a second: {cpu:?}");
    }

    #[test]
    fn what_failed_is_told_and_in_no_figure() {
        let mut failed = row(1, "ours", 64, 1e9);
        failed.outcome = "HELD".into();
        let table = Table::of(&[row(1, "ours", 64, 100.0), failed]);
        assert_eq!(table.figures[&((0, 64), Quantity::PerSecond, 0)].most, 100.0);
        assert_eq!(table.failures_text(), "- ours, `pair` of 64: 7 x pair HELD\n");
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let table = Table::of(&[row(1, "ours", 1, 100.0), row(1, "theirs", 64, 2_712.0)]);
        let text = table.markdown();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "| | clients | | ours | theirs |");
        assert_eq!(lines[2], "| acquire + release | 1 | a second | **100** | - |");
        assert_eq!(lines[6], "| acquire + release | 64 | a second | - | **2,710** |");
        let bars = |line: &str| line.matches('|').count();
        assert!(lines.iter().all(|line| bars(line) == bars(lines[0])), "{text}");
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (0.6712, "0.671"),
            (0.9996, "1.000"),
            (9.456, "9.46"),
            (12.34, "12.3"),
            (999.6, "1,000"),
            (2_712.0, "2,710"),
            (290_123.0, "290,000"),
            (1_234_567.0, "1,230,000"),
            (0.0, "0"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
