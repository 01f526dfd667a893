//! What a run found, for people.

use std::time::Duration;

use crate::{KilledBy, Plant, Verdict};

/// A plant as a row of the table in `docs/planted-bugs.md`.
pub fn markdown_row(plant: &Plant) -> String {
    let Plant { name, breaks, rules, killed_by, .. } = plant;
    let KilledBy { package, target, test } = killed_by;
    let package = package.strip_prefix("leasehold-").unwrap_or(package);
    format!("| `{name}` | {breaks} | {} | `{package} {target}` `{test}` |", rules.join(", "))
}

/// The verdicts of one run.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<(Plant, Verdict, Duration)>,
}

impl Report {
    /// Adds a plant's verdict, and how long building and testing took.
    pub fn add(&mut self, plant: Plant, verdict: Verdict, took: Duration) {
        self.rows.push((plant, verdict, took));
    }

    /// Whether every plant was killed, and there was one.
    pub fn is_good(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|(_, verdict, _)| *verdict == Verdict::Killed)
    }

    /// The table, what is wrong in full, and the sums.
    pub fn print(&self) {
        println!("\n{:<7} {:>7}  {:<44} test", "result", "seconds", "plant");
        for (plant, verdict, took) in &self.rows {
            let result = match verdict {
                Verdict::Killed => "killed",
                Verdict::Survived => "ALIVE",
                Verdict::Broken(_) => "BROKEN",
            };
            let test = &plant.killed_by.test;
            println!("{result:<7} {:>7.1}  {:<44} {test}", took.as_secs_f64(), plant.name);
        }
        for (plant, verdict, _) in &self.rows {
            match verdict {
                Verdict::Killed => {}
                Verdict::Survived => println!("\n{}: its test stays green", plant.name),
                Verdict::Broken(why) => println!("\n{}: {why}", plant.name),
            }
        }
        let killed = self.rows.iter().filter(|(_, verdict, _)| *verdict == Verdict::Killed);
        let took: f64 = self.rows.iter().map(|(_, _, took)| took.as_secs_f64()).sum();
        println!("\n{} of {} plants killed in {took:.0} s", killed.count(), self.rows.len());
    }
}
