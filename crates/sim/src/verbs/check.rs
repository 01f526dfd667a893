//! `leasehold-sim check`: is a recorded history one that Leasehold promises?

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use leasehold_sim::history::{self, Counts, History, HistoryError, Report, search};

/// Checks a recorded history, one JSON object a line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  every promise was kept, and enough happened to mean something
  1  a promise was broken, or less happened than --at-least asks
  2  the arguments are wrong, or the file is no history

Examples:
  leasehold-sim check history.jsonl
  leasehold-sim check history.jsonl --at-least grants=100,expiries=5,stale_refused=1")]
pub(crate) struct CheckArgs {
    /// The history; - for standard input
    file: PathBuf,

    /// Fail unless at least that many of these happened: a history of nothing is always clean
    #[arg(long, value_name = "COUNT=N,...", value_delimiter = ',', value_parser = minimum)]
    at_least: Vec<(String, u64)>,

    /// Search small resources for linearizability too, without regard to revisions
    #[arg(long)]
    search: bool,
}

fn minimum(text: &str) -> Result<(String, u64), String> {
    let (name, number) = text.split_once('=').ok_or("write COUNT=N, such as grants=100")?;
    if !Counts::NAMES.contains(&name) {
        return Err(format!("there is no count {name:?}; there are {}", Counts::NAMES.join(", ")));
    }
    let number = number.parse().map_err(|error| format!("{number:?}: {error}"))?;
    Ok((name.to_owned(), number))
}

pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let history = match read(args) {
        Ok(history) => history,
        Err(error) => {
            eprintln!("leasehold-sim: {}: {error}", args.file.display());
            return ExitCode::from(2);
        }
    };
    let report = history::check(&history);
    let kept = tell(args, &history, &report);
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("leasehold-sim: the report cannot be written: {error}");
            ExitCode::from(2)
        }
    }
}

fn read(args: &CheckArgs) -> Result<History, HistoryError> {
    if args.file.as_os_str() == "-" {
        return History::read(io::stdin().lock());
    }
    let file = File::open(&args.file).map_err(HistoryError::Unopened)?;
    History::read(BufReader::new(file))
}

/// Writes the report, and says whether there is nothing to complain of.
fn tell(args: &CheckArgs, history: &History, report: &Report) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    writeln!(out, "{report}")?;
    let mut kept = report.is_clean();
    for (name, least) in &args.at_least {
        let count = report.counts.get(name).unwrap_or_default();
        if count < *least {
            writeln!(out, "TOO LITTLE {name}: {count}, at least {least} were asked for")?;
            kept = false;
        }
    }
    if args.search {
        kept &= tell_search(&mut out, history)?;
    }
    Ok(kept)
}

fn tell_search(out: &mut impl Write, history: &History) -> io::Result<bool> {
    let (mut searched, mut too_large, mut kept) = (0, 0, true);
    for (resource, verdict) in search::search(history) {
        match verdict {
            search::Verdict::Linearizable => searched += 1,
            search::Verdict::GaveUp => too_large += 1,
            search::Verdict::NotLinearizable => {
                writeln!(out, "NOT LINEARIZABLE {resource}: no order of its calls explains them")?;
                kept = false;
            }
        }
    }
    writeln!(out, "search: {searched} resources linearizable, {too_large} too large to search")?;
    Ok(kept)
}
