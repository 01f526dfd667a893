//! The page: prose that people write, and between two marks what was measured.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::plot;
use crate::table::{Row, Table};

const BEGIN: &str = "<!-- figures: written by bench/run -->";
const END: &str = "<!-- end of figures -->";

/// What the figures were made on.
#[derive(Debug, Deserialize)]
struct About {
    /// Names and values, in order.
    facts: Vec<(String, String)>,
}

pub(crate) fn write(rows: &Path, about: &Path, page: &Path, plots: &Path) -> Result<(), Failure> {
    let text = read(rows)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let rows: Vec<Row> = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let table = Table::of(&rows);
    if table.figures.is_empty() {
        return Err("there is no figure among the rows".into());
    }
    let about: About = serde_json::from_str(&read(about)?)?;
    let plots_name = plots.file_name().unwrap_or_default().to_string_lossy();
    let written = with_figures(&read(page)?, &figures(&table, &about, &plots_name))
        .ok_or_else(|| format!("{}: no lines {BEGIN} and {END}", page.display()))?;
    fs::write(plots, plot::svg(&table)).map_err(|error| format!("{}: {error}", plots.display()))?;
    fs::write(page, written).map_err(|error| format!("{}: {error}", page.display()))?;
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn figures(table: &Table, about: &About, plots: &str) -> String {
    let mut text = String::new();
    for (name, value) in &about.facts {
        let _ = writeln!(text, "- {name}: {value}");
    }
    let _ = write!(text, "\n{}\n![The same as plots]({plots})\n", table.markdown());
    let failures = table.failures_text();
    if failures.is_empty() {
        text += "\nNothing failed.\n";
    } else {
        let _ =
            write!(text, "\nWhat did not do what it was asked to, over all rounds:\n\n{failures}");
    }
    text
}

/// The page with these figures in the place of those it has.
fn with_figures(page: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::row;

    #[test]
    fn only_what_is_between_the_marks_is_written_anew() {
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nMore.\n");
        let once = with_figures(&page, "new\n").expect("both marks");
        assert_eq!(once, format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nMore.\n"));
        assert_eq!(with_figures(&once, "new\n"), Some(once));
        assert_eq!(with_figures("# Title\n", "new\n"), None);
    }

    #[test]
    fn failures_are_on_the_page() {
        let about = About { facts: vec![("cores".into(), "2".into())] };
        let mut rows = vec![row(1, "ours", 64, 100.0)];
        let text = figures(&Table::of(&rows), &about, "it.svg");
        assert!(text.starts_with("- cores: 2\n") && text.contains("(it.svg)"), "{text}");
        assert!(text.ends_with("Nothing failed.\n"), "{text}");
        rows[0].outcome = "HELD".into();
        let text = figures(&Table::of(&rows), &about, "it.svg");
        assert!(text.ends_with("- ours, `pair` of 64: 7 x pair HELD\n"), "{text}");
    }
}
