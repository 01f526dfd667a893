//! `leasehold-sim scale`: what waiting alone costs, by round trip, members and clients.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use leasehold_sim::simulation::{Cell, Measured, measure};
use serde_json::json;

use super::figures;

/// Measures clusters without faults in virtual time, for docs/scale.md
#[derive(Debug, clap::Args)]
#[command(after_help = "\
No instruction costs anything here: what is measured is round trips, syncs and waiting, not processors.
The same arguments give the same figures on every machine.

Exit codes:
  0  measured
  1  a cluster granted nothing
  2  the arguments are wrong, or the figures cannot be written

Examples:
  leasehold-sim scale
  leasehold-sim scale --round-trips 1000 --sync 2ms --json scale.json")]
pub(crate) struct ScaleArgs {
    /// For how many round trips each cluster is measured
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    round_trips: u32,

    /// How long a disk takes to sync
    #[arg(long, default_value = "100us", value_parser = micros)]
    sync: Duration,

    /// Write the figures to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

const ROUND_TRIPS: [Duration; 3] =
    [Duration::from_micros(200), Duration::from_millis(2), Duration::from_millis(50)];

/// Members and clients, for each round trip.
const SIZES: [(u64, u64); 7] = [(3, 1), (3, 16), (3, 64), (3, 256), (5, 64), (7, 64), (3, 1_024)];

pub(crate) fn run(args: &ScaleArgs) -> ExitCode {
    println!(
        "| round trip | nodes | clients | acquire p50 | p99 | in round trips | grants/s | grants an entry | node messages a grant |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for round_trip in ROUND_TRIPS {
        for (nodes, clients) in SIZES {
            let (sync, round_trips) = (args.sync, args.round_trips);
            let heartbeat = Cell::heartbeat_for(round_trip);
            let cell = Cell { nodes, clients, round_trip, heartbeat, sync, round_trips };
            let measured = measure(cell);
            if measured.grants == 0 || measured.entries == 0 {
                eprintln!("leasehold-sim: {cell:?} granted nothing");
                return ExitCode::from(1);
            }
            println!("{}", row(&cell, &measured));
            rows.push(line(&cell, &measured));
        }
    }
    match figures::write(args.json.as_deref(), &rows.into()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(2),
    }
}

fn row(cell: &Cell, measured: &Measured) -> String {
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let grants = measured.grants as f64;
    format!(
        "| {} ms | {} | {} | {:.2} ms | {:.2} ms | {:.1} | {:.0} | {:.1} | {:.2} |",
        ms(cell.round_trip),
        cell.nodes,
        cell.clients,
        ms(measured.half),
        ms(measured.nearly_all),
        measured.half.as_secs_f64() / cell.round_trip.as_secs_f64(),
        grants / cell.lasts().as_secs_f64(),
        grants / measured.entries as f64,
        measured.messages as f64 / grants,
    )
}

fn line(cell: &Cell, measured: &Measured) -> serde_json::Value {
    json!({
        "round_trip_us": cell.round_trip.as_micros(),
        "sync_us": cell.sync.as_micros(),
        "nodes": cell.nodes,
        "clients": cell.clients,
        "round_trips": cell.round_trips,
        "grants": measured.grants,
        "acquire_p50_us": measured.half.as_micros(),
        "acquire_p99_us": measured.nearly_all.as_micros(),
        "entries": measured.entries,
        "node_messages": measured.messages,
    })
}

/// Microseconds or milliseconds, up to a second.
fn micros(text: &str) -> Result<Duration, String> {
    let allowed = || format!("{text:?}: write 100us or 2ms, up to 1000ms");
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(allowed)?);
    let number: u64 = number.parse().map_err(|_| allowed())?;
    let duration = match unit {
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        _ => return Err(allowed()),
    };
    if duration > Duration::from_secs(1) { Err(allowed()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_written_with_its_unit_and_is_no_longer_than_a_second() {
        assert_eq!(micros("100us"), Ok(Duration::from_micros(100)));
        assert_eq!(micros("2ms"), Ok(Duration::from_millis(2)));
        for wrong in ["", "2", "2s", "us", "-1ms", "1001ms", "99999999999999999999us"] {
            assert!(micros(wrong).is_err_and(|why| why.contains("100us")), "{wrong}");
        }
    }
}
