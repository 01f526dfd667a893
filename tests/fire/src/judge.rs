//! The verdict on a campaign: its histories merged and checked, its counters added up, its logs read.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use leasehold_sim::history::record::{Increment, Record, Token, Total};
use leasehold_sim::history::{self, History};

use crate::Outcome;
use crate::client::journal;
use crate::counters::Account;
use crate::rig::Rig;
use crate::rig::dates;

/// Adds to the tally and the complaints of a rig what its journals, and these totals, tell.
pub(crate) fn judge(rig: &mut Rig, totals: &[Total]) -> Outcome<()> {
    let mut records = Vec::new();
    for path in rig.crew.journals() {
        records.extend(journal::read(path)?);
    }
    name_claims(&mut records);
    let increments: Vec<Increment> = records.iter().filter_map(increment).cloned().collect();
    records.retain(|record| !increment(record).is_some_and(|one| is_control(&one.counter)));
    for total in totals {
        add_up(rig, total, &increments);
        if !is_control(&total.counter) {
            records.push(Record::Total(total.clone()));
        }
    }
    let path = rig.directory.join("history.jsonl");
    write(&path, &records)?;
    let report = history::check(&History::from_records(records));
    for name in ["grants", "expiries", "waits", "beliefs", "writes"] {
        rig.tally.add(name, report.counts.get(name).unwrap_or_default());
    }
    rig.tally.add("stale refused", report.counts.stale_refused);
    rig.tally.add("duplicates answered", report.counts.duplicates_answered);
    rig.tally.add("lines of history", report.counts.lines);
    rig.tally.add("unknown outcomes", report.counts.unknowns);
    if !report.is_clean() {
        rig.complaints.push(format!("{} (see {})", report, path.display()));
    }
    read_logs(rig);
    Ok(())
}

/// The library keeps its request ids to itself, so a worker's journal names its claims, and events tell
/// the library's names. One token is one claim: its events get the worker's name.
fn name_claims(records: &mut [Record]) {
    let mut by_token: HashMap<Token, String> = HashMap::new();
    for record in &*records {
        if let Record::Acquire(call) = record
            && let (true, Some(token)) = (call.retried, call.outcome.ok().and_then(|ok| ok.token))
        {
            by_token.insert(token, call.request_id.clone());
        }
    }
    let mut names: HashMap<String, String> = HashMap::new();
    for record in &*records {
        if let Record::Event(event) = record
            && let Some(name) = event.token.and_then(|token| by_token.get(&token))
        {
            names.insert(event.request_id.clone(), name.clone());
        }
    }
    for record in records {
        if let Record::Event(event) = record
            && let Some(name) = names.get(&event.request_id)
        {
            event.request_id.clone_from(name);
        }
    }
}

fn is_control(counter: &str) -> bool {
    counter.starts_with("control/")
}

fn increment(record: &Record) -> Option<&Increment> {
    match record {
        Record::Increment(increment) => Some(increment),
        _ => None,
    }
}

fn add_up(rig: &mut Rig, total: &Total, increments: &[Increment]) {
    let account = Account::of(total, increments);
    if is_control(&total.counter) {
        rig.tally.add("increments of the control", account.acknowledged);
        rig.tally.add("lost by the control", account.lost());
        return;
    }
    rig.tally.add("acknowledged increments", account.acknowledged);
    rig.tally.add("increments unknown", account.unknown);
    rig.tally.add("increments refused", account.refused);
    rig.tally.add("lost increments", account.lost());
    if account.lost() > 0 || account.uncalled_for > 0 {
        rig.complaints.push(format!("{} is {}: {account:?}", total.counter, total.value));
    }
}

fn write(path: &Path, records: &[Record]) -> Outcome<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for record in records {
        serde_json::to_writer(&mut file, record)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

fn read_logs(rig: &mut Rig) {
    let daemons = rig.cluster.machines().map(|machine| &machine.daemon);
    let daemons = daemons.chain(rig.crew.seats.iter().map(|seat| &seat.daemon));
    let (mut found, mut years) = (Vec::new(), BTreeSet::new());
    for daemon in daemons {
        let said = daemon.said();
        years.extend(dates::years(&said));
        if let Some(at) = said.find("panicked at") {
            let words: String = said[at..].chars().take(400).collect();
            found.push(format!("{} {words}", daemon.name()));
        }
    }
    rig.complaints.extend(found);
    rig.tally.add("years in the logs", years.len() as u64);
}
