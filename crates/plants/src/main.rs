//! `leasehold-plants`: lists the planted bugs, or plants them and demands a red test for each.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use leasehold_plants::{
    KilledBy, Plant, Report, Scratch, Verdict, baseline, markdown_row, verdict,
};

/// Plants bugs in a copy of the sources, one at a time, and demands that the test named for each fails.
#[derive(Debug, Parser)]
#[command(name = "leasehold-plants", version)]
struct Options {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists plants: what each breaks, and which test kills it.
    List {
        /// As the table of docs/planted-bugs.md.
        #[arg(long)]
        markdown: bool,
    },
    /// Runs plants; fails if one does not compile, or its test does not run, stays green, or fails
    /// without the plant as well. Needs git, and cargo with the workspace's toolchain.
    Run(Run),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false, args = ["names", "all", "shard"])]
struct Chosen {
    /// Names of plants, or the beginnings of names.
    names: Vec<String>,
    /// Every plant.
    #[arg(long)]
    all: bool,
    /// One part of all plants, as K/N, K from 1.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    chosen: Chosen,
    /// Seconds that a test may take.
    #[arg(long, default_value_t = 300)]
    test_seconds: u64,
    /// Where the copy is kept and built; `target/plants` by default.
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// Writes the figures to this file, as one JSON object.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct Shard {
    part: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .split_once('/')
            .and_then(|(part, of)| Some(Self { part: part.parse().ok()?, of: of.parse().ok()? }));
        parts
            .filter(|shard| (1..=shard.of).contains(&shard.part))
            .ok_or("expected K/N, K from 1 to N")
    }
}

fn main() -> ExitCode {
    match begin(Options::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("leasehold-plants: {why}");
            ExitCode::FAILURE
        }
    }
}

fn begin(what: What) -> Result<bool, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    match what {
        What::List { markdown } => list(&root, markdown),
        What::Run(run) => plant_all(&root, &run),
    }
}

fn list(root: &Path, markdown: bool) -> Result<bool, Box<dyn Error>> {
    for plant in Plant::all(root)? {
        if markdown {
            println!("{}", markdown_row(&plant));
            continue;
        }
        let Plant { name, breaks, killed_by, .. } = plant;
        let KilledBy { package, target, test } = killed_by;
        println!("{name}\n    {breaks}\n    {package} {target} {test}");
    }
    Ok(true)
}

impl Chosen {
    fn of(&self, plants: Vec<Plant>) -> Result<Vec<Plant>, String> {
        if let Some(Shard { part, of }) = self.shard {
            let (from, to) = (plants.len() * (part - 1) / of, plants.len() * part / of);
            return Ok(plants[from..to].to_vec());
        }
        let chosen = |plant: &&Plant| {
            self.all || self.names.iter().any(|n| plant.name.starts_with(n.as_str()))
        };
        if let Some(unknown) = self
            .names
            .iter()
            .find(|n| plants.iter().all(|plant| !plant.name.starts_with(n.as_str())))
        {
            return Err(format!(
                "no plant begins with {unknown:?}; `leasehold-plants list` names them"
            ));
        }
        Ok(plants.iter().filter(chosen).cloned().collect())
    }
}

fn plant_all(root: &Path, run: &Run) -> Result<bool, Box<dyn Error>> {
    let plants = run.chosen.of(Plant::all(root)?)?;
    let folder = run.scratch.clone().unwrap_or_else(|| root.join("target/plants"));
    let scratch = Scratch::new(root, &folder)?;
    let most = Duration::from_secs(run.test_seconds);
    let mut green = BTreeMap::new();
    let (mut report, mut killed) = (Report::default(), 0);
    let total = plants.len();
    for (number, plant) in (1..).zip(plants) {
        let began = Instant::now();
        let test = &plant.killed_by;
        // Just before the first plant that needs it: its package is then built once, not twice.
        if !green.contains_key(test) {
            green.insert(test.clone(), baseline(scratch.run(test, most)?));
        }
        let verdict = match &green[test] {
            Ok(()) => {
                let planted = scratch.plant(&plant)?;
                let outcome = scratch.run(test, most);
                planted.take_out()?;
                verdict(outcome?)
            }
            Err(why) => Verdict::Broken(format!("{} {why}", test.test)),
        };
        let took = began.elapsed();
        let word = match &verdict {
            Verdict::Killed => "killed",
            Verdict::Survived => "ALIVE",
            Verdict::Broken(_) => "BROKEN",
        };
        println!("[{number}/{total}] {} {word} in {:.1} s", plant.name, took.as_secs_f64());
        killed += u32::from(matches!(verdict, Verdict::Killed));
        report.add(plant, verdict, took);
    }
    report.print();
    if let Some(file) = &run.json {
        std::fs::write(file, format!("{{\"planted_bugs_noticed\":{killed}}}\n"))?;
    }
    Ok(report.is_good())
}
