//! A run's figures as text, JSON and CSV.

use std::time::Duration;

use serde::Serialize;

use crate::figures::{Measured, Percentiles};
use crate::{Floor, Pace, Settings, Workload};

/// What came of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How it was run.
    #[serde(flatten)]
    pub setup: Setup,
    /// The figures.
    pub rows: Vec<Measured>,
}

/// How something was run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setup {
    /// What was done; `floor` for the floor.
    pub workload: &'static str,
    /// `session` or `unary`, or what another system is asked by; absent for the floor.
    pub over: Option<&'static str>,
    /// The clients.
    pub clients: usize,
    /// The connections that they shared at most.
    pub connections: usize,
    /// `closed` or `open` loop; `own` where the workload has a rhythm of its own.
    pub pace: &'static str,
    /// Operations a second that an open loop asked for; absent otherwise.
    pub rate: Option<f64>,
    /// The resources.
    pub resources: usize,
    /// The ttl, in seconds.
    pub ttl_s: f64,
    /// How long it counted, in seconds, where the workload has no end of its own.
    pub duration_s: f64,
}

/// One row with all that is known of it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    kind: &'static str,
    #[serde(flatten)]
    setup: &'a Setup,
    #[serde(flatten)]
    row: &'a Measured,
}

/// The columns of [`Report::csv`].
pub const CSV_HEADER: &str = "workload,over,clients,connections,pace,rate,resources,ttl_s,duration_s,\
measure,outcome,count,per_second,p50_us,p90_us,p99_us,p999_us,max_us,\
p50_floors,p90_floors,p99_floors,p999_floors,max_floors";

const HEADER: [&str; 9] =
    ["MEASURE", "OUTCOME", "COUNT", "PER SECOND", "P50", "P90", "P99", "P99.9", "MAX"];

impl Report {
    pub(crate) fn new(
        workload: Workload,
        way: &'static str,
        settings: &Settings,
        rows: Vec<Measured>,
    ) -> Self {
        let (pace, rate) = match settings.pace {
            Pace::Open(per_second) => ("open", Some(per_second)),
            Pace::Closed if workload.has_own_rhythm() => ("own", None),
            Pace::Closed => ("closed", None),
        };
        let setup = Setup {
            workload: workload.name(),
            over: Some(way),
            clients: settings.clients,
            connections: settings.connections.min(settings.clients),
            pace,
            rate,
            resources: settings.resources(workload),
            ttl_s: settings.ttl.as_secs_f64(),
            duration_s: settings.duration.as_secs_f64(),
        };
        Self { setup, rows }
    }

    /// The floor as a report.
    pub fn of_floor(floor: &Floor, length: Duration) -> Self {
        let setup = Setup {
            workload: "floor",
            over: None,
            clients: 1,
            connections: 1,
            pace: "closed",
            rate: None,
            resources: 0,
            ttl_s: 0.0,
            duration_s: length.as_secs_f64(),
        };
        Self { setup, rows: floor.rows.clone() }
    }

    /// The same with every latency also as a multiple of the floor's median commit.
    pub fn over_floor(mut self, floor: &Floor) -> Self {
        for row in &mut self.rows {
            row.floors = row.latency.map(|latency| latency.over(floor.commit_us));
        }
        self
    }

    /// For people: a title, and a table.
    pub fn text(&self) -> String {
        let mut rows = vec![HEADER.map(str::to_owned)];
        for row in &self.rows {
            rows.push(line(row));
            rows.extend(row.floors.map(|floors| floor_line(&floors)));
        }
        format!("{}\n{}", self.title(), aligned(&rows))
    }

    fn title(&self) -> String {
        let Setup { workload, over, clients, connections, pace, rate, .. } = &self.setup;
        let Some(over) = over else { return (*workload).to_owned() };
        let pace = match rate {
            None if *pace == "own" => String::new(),
            None => format!("{pace} loop, "),
            Some(rate) => format!("{pace} loop, {rate} a second, "),
        };
        let plural = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            many => format!("{many} {one}s"),
        };
        let (clients, connections) =
            (plural(*clients, "client"), plural(*connections, "connection"));
        let length = match *workload {
            "expire" | "failover" => String::new(),
            _ => format!(", {} s", self.setup.duration_s),
        };
        format!("{workload} over {over}: {pace}{clients}, {connections}{length}")
    }

    /// For programs: each row with all that is known of it.
    pub fn lines(&self) -> impl Iterator<Item = impl Serialize> {
        self.rows.iter().map(|row| Line { kind: "measure", setup: &self.setup, row })
    }

    /// Lines of [`CSV_HEADER`]'s columns; what is absent is empty.
    pub fn csv(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(String::new, |it| format!("{it:.3}"));
        let percentiles = |some: Option<Percentiles>| match some {
            Some(some) => some.all().map(|value| format!("{value:.3}")).join(","),
            None => ",".repeat(4),
        };
        let Setup {
            workload,
            over,
            clients,
            connections,
            pace,
            rate,
            resources,
            ttl_s,
            duration_s,
        } = &self.setup;
        let line = |row: &Measured| {
            [
                (*workload).to_owned(),
                over.unwrap_or_default().to_owned(),
                clients.to_string(),
                connections.to_string(),
                (*pace).to_owned(),
                number(*rate),
                resources.to_string(),
                format!("{ttl_s:.3}"),
                format!("{duration_s:.3}"),
                row.measure.to_owned(),
                row.outcome.to_owned(),
                row.count.to_string(),
                number(row.per_second),
                percentiles(row.latency),
                percentiles(row.floors),
            ]
            .join(",")
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn line(row: &Measured) -> [String; 9] {
    let none = || "-".to_owned();
    let [p50, p90, p99, p999, max] = match row.latency {
        Some(latency) => latency.all().map(human),
        None => std::array::from_fn(|_| none()),
    };
    [
        row.measure.to_owned(),
        row.outcome.to_owned(),
        row.count.to_string(),
        row.per_second.map_or_else(none, |rate| format!("{rate:.1}")),
        p50,
        p90,
        p99,
        p999,
        max,
    ]
}

fn floor_line(floors: &Percentiles) -> [String; 9] {
    let [p50, p90, p99, p999, max] = floors.all().map(|times| format!("{times:.1}x"));
    let empty = String::new;
    [empty(), "/ floor".to_owned(), empty(), empty(), p50, p90, p99, p999, max]
}

/// Microseconds with three digits that count.
fn human(microseconds: f64) -> String {
    match microseconds {
        us if us < 999.5 => format!("{us:.0} us"),
        us if us < 9_995.0 => format!("{:.2} ms", us / 1e3),
        us if us < 99_950.0 => format!("{:.1} ms", us / 1e3),
        us if us < 999_500.0 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

/// Words to the left, numbers to the right.
fn aligned(rows: &[[String; 9]]) -> String {
    let widths: [usize; 9] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; 9]| {
        let cells =
            row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
                0 | 1 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
        format!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count_whatever_the_unit() {
        let table = [
            (0.4, "0 us"),
            (999.4, "999 us"),
            (999.9, "1.00 ms"),
            (9_994.0, "9.99 ms"),
            (12_345.0, "12.3 ms"),
            (123_456.0, "123 ms"),
            (1_234_567.0, "1.23 s"),
        ];
        for (microseconds, said) in table {
            assert_eq!(human(microseconds), said);
        }
    }

    #[test]
    fn every_line_of_csv_has_as_many_fields_as_the_header() {
        let percentiles = Percentiles { p50: 1.0, p90: 2.0, p99: 3.0, p999: 4.0, max: 5.0 };
        let row = Measured {
            measure: "pair",
            outcome: "ok",
            count: 1,
            per_second: None,
            latency: None,
            floors: None,
        };
        let timed = Measured { latency: Some(percentiles), ..row.clone() };
        let floor = Floor { rows: vec![row, timed], commit_us: 2.0 };
        let report = Report::of_floor(&floor, Duration::from_secs(1)).over_floor(&floor);
        let fields = CSV_HEADER.split(',').count();
        for line in report.csv().lines() {
            assert_eq!(line.split(',').count(), fields, "{line}");
        }
        assert!(report.text().contains("2.5x"), "5 us are two and a half floors");
    }
}
