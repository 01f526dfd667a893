//! One page of plots: for each workload a panel with what it gave at how many clients.
//!
//! Both axes are logarithmic, so that a ratio is a distance wherever it is. A point is the median of the
//! rounds, the line through it goes from the least to the most.

use std::fmt::Write as _;

use crate::table::{Quantity, Summary, Table};

/// Colours that those who see fewer of them can tell apart, each with a shape of its own.
const COLOURS: [&str; 8] =
    ["#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#444444", "#999933"];

const PANEL_WIDTH: f64 = 400.0;
const PANEL_HEIGHT: f64 = 300.0;
const PANELS_PER_ROW: usize = 3;
const MARGIN_LEFT: f64 = 64.0;
const MARGIN_RIGHT: f64 = 16.0;
const MARGIN_TOP: f64 = 34.0;
const MARGIN_BOTTOM: f64 = 40.0;
const LEGEND_HEIGHT: f64 = 40.0;

/// What there is a panel of, where there are figures.
const PANELS: [(usize, Quantity, &str); 6] = [
    (0, Quantity::PerSecond, "acquire + release, a second"),
    (0, Quantity::P50, "acquire + release, p50 in ms"),
    (0, Quantity::P99, "acquire + release, p99 in ms"),
    (1, Quantity::PerSecond, "hand-overs of one resource, a second"),
    (2, Quantity::PerSecond, "renewals, a second"),
    (3, Quantity::PerSecond, "fenced writes, a second"),
];

type Points<'a> = Vec<(f64, &'a Summary)>;

/// The page as SVG.
pub(crate) fn svg(table: &Table) -> String {
    let panels: Vec<_> = PANELS
        .iter()
        .map(|(workload, quantity, title)| (*title, series(table, *workload, *quantity)))
        .filter(|(_, series)| series.iter().any(|points| !points.is_empty()))
        .collect();
    let rows = panels.len().div_ceil(PANELS_PER_ROW);
    let width = PANEL_WIDTH * PANELS_PER_ROW as f64;
    let height = PANEL_HEIGHT * rows as f64 + LEGEND_HEIGHT;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Leasehold and others side by side</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (at, (title, series)) in panels.iter().enumerate() {
        let (column, row) = (at % PANELS_PER_ROW, at / PANELS_PER_ROW);
        let (x, y) = (column as f64 * PANEL_WIDTH, row as f64 * PANEL_HEIGHT);
        let _ = writeln!(text, "<g transform=\"translate({x} {y})\">");
        panel(&mut text, title, series);
        text += "</g>\n";
    }
    legend(&mut text, &table.systems, height - LEGEND_HEIGHT / 2.0, width);
    text += "</svg>\n";
    text
}

/// The points of each system.
fn series(table: &Table, workload: usize, quantity: Quantity) -> Vec<Points<'_>> {
    let mut series = vec![Points::new(); table.systems.len()];
    for (((of, clients), what, system), summary) in &table.figures {
        if (*of, *what) == (workload, quantity) && summary.least > 0.0 {
            series[*system].push((f64::from(*clients), summary));
        }
    }
    series
}

/// From a value to a place, both of them between two ends.
#[derive(Clone, Copy, Debug)]
struct Axis {
    values: (f64, f64),
    places: (f64, f64),
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let (low, high) = (self.values.0.log10(), self.values.1.log10());
        let share = (value.log10() - low) / (high - low);
        self.places.0 + share * (self.places.1 - self.places.0)
    }
}

fn panel(text: &mut String, title: &str, series: &[Points<'_>]) {
    let points = || series.iter().flatten();
    let clients = || points().map(|(clients, _)| *clients);
    let mut ticks: Vec<f64> = clients().collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let (few, many) = (clients().fold(f64::MAX, f64::min), clients().fold(0.0, f64::max));
    let x =
        Axis { values: (few / 1.5, many * 1.5), places: (MARGIN_LEFT, PANEL_WIDTH - MARGIN_RIGHT) };
    let least = points().map(|(_, it)| it.least).fold(f64::MAX, f64::min);
    let most = points().map(|(_, it)| it.most).fold(0.0, f64::max);
    let decades = (least.log10().floor() as i32, (most * 1.001).log10().ceil() as i32);
    let y = Axis {
        values: (10_f64.powi(decades.0), 10_f64.powi(decades.1)),
        places: (PANEL_HEIGHT - MARGIN_BOTTOM, MARGIN_TOP),
    };
    let _ = writeln!(
        text,
        "<text x=\"{MARGIN_LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{title}</text>"
    );
    for decade in decades.0..=decades.1 {
        let value = 10_f64.powi(decade);
        line(text, x.places, y.at(value));
        let (x, y) = (MARGIN_LEFT - 6.0, y.at(value) + 4.0);
        let label = label(value);
        let _ = writeln!(text, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>");
    }
    for tick in ticks {
        let (x, y) = (x.at(tick), PANEL_HEIGHT - MARGIN_BOTTOM + 16.0);
        let _ = writeln!(
            text,
            "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>",
            label(tick)
        );
    }
    let (middle, bottom) = (f64::midpoint(x.places.0, x.places.1), PANEL_HEIGHT - 8.0);
    let _ =
        writeln!(text, "<text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">clients</text>");
    for (system, points) in series.iter().enumerate() {
        draw(text, system, points, x, y);
    }
}

fn line(text: &mut String, (from, to): (f64, f64), y: f64) {
    let _ = writeln!(
        text,
        "<line x1=\"{from}\" x2=\"{to}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>"
    );
}

fn draw(text: &mut String, system: usize, points: &Points<'_>, x: Axis, y: Axis) {
    let colour = COLOURS[system % COLOURS.len()];
    let path: Vec<_> = points
        .iter()
        .map(|(clients, it)| format!("{:.1},{:.1}", x.at(*clients), y.at(it.median)))
        .collect();
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
        path.join(" ")
    );
    for (clients, it) in points {
        let (x, low, high) = (x.at(*clients), y.at(it.least), y.at(it.most));
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\" \
             stroke=\"{colour}\" stroke-width=\"3\" opacity=\"0.5\"/>"
        );
        mark(text, system, x, y.at(it.median));
    }
}

fn mark(text: &mut String, system: usize, x: f64, y: f64) {
    let colour = COLOURS[system % COLOURS.len()];
    let _ = match system % 4 {
        0 => writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>"),
        1 => writeln!(
            text,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\" fill=\"{colour}\"/>",
            x - 3.5,
            y - 3.5
        ),
        2 => writeln!(text, "<path d=\"M{x:.1} {:.1} l5 9 h-10 z\" fill=\"{colour}\"/>", y - 5.0),
        _ => writeln!(
            text,
            "<path d=\"M{x:.1} {:.1} l5 5 l-5 5 l-5 -5 z\" fill=\"{colour}\"/>",
            y - 5.0
        ),
    };
}

fn legend(text: &mut String, systems: &[String], y: f64, width: f64) {
    let step = (width - 2.0 * MARGIN_RIGHT) / systems.len().max(1) as f64;
    for (system, name) in systems.iter().enumerate() {
        let x = MARGIN_RIGHT + 8.0 + step * system as f64;
        mark(text, system, x, y);
        let name = name.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(text, "<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", x + 10.0, y + 4.0);
    }
}

/// `0.1`, `10`, `100k`.
fn label(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::row;

    #[test]
    fn ten_times_as_much_is_the_same_distance_everywhere() {
        let axis = Axis { values: (1.0, 1e4), places: (200.0, 0.0) };
        assert_eq!([1.0, 10.0, 1e3, 1e4].map(|value| axis.at(value)), [200.0, 150.0, 50.0, 0.0]);
    }

    #[test]
    fn every_median_is_a_point_and_what_was_not_measured_has_no_panel() {
        let rows = [row(1, "ours", 1, 900.0), row(1, "ours", 64, 9e4), row(1, "a < b", 64, 3e3)];
        let text = svg(&Table::of(&rows));
        let titles = PANELS.map(|(.., title)| text.contains(title));
        assert_eq!(titles, [true, true, true, false, false, false]);
        // Three panels and the legend.
        assert_eq!(text.matches("<circle").count(), 3 * 2 + 1, "{text}");
        assert_eq!(text.matches("<rect x").count(), 3 + 1, "{text}");
        assert!(text.contains("a &lt; b") && !text.contains("NaN") && !text.contains("inf"));
        let (opened, closed) = (text.matches("<g ").count(), text.matches("</g>").count());
        assert_eq!((opened, closed), (3, 3));
    }
}
