//! `leasehold status`: what every node and the store say of themselves, and whether that is a cluster.

use std::time::Duration;

use leasehold_client::{RequestError, ResourceStatus, StoreError, StoreStatus};
use serde::Serialize;

use crate::args::Common;
use crate::exit::{Exit, Failure, UNAVAILABLE};
use crate::output::{Format, Show, print_line};
use crate::supervise::node::{NodeReport, ask_all};

/// A resource nobody claims: reading it takes a leader with a majority, and changes nothing.
const PROBE: &str = "leasehold/status";
/// How long a single node has to say how it is.
const NODE_PATIENCE: Duration = Duration::from_secs(2);

/// Show the nodes, who leads, and the store
///
/// Asks each of --endpoints, and --store if there is one; either alone will do. Text: a table. JSON: a
/// line for each node (kind "node"), one for the store (kind "store"), one for the whole (kind
/// "cluster": leader_id, majority).
/// Exits with 69 when no leader with a majority answers, or the store does not.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold status
  leasehold status --endpoints 10.0.0.1:7100,10.0.0.2:7100,10.0.0.3:7100 --store 10.0.0.9:7300
  leasehold --output json status | jq 'select(.kind == \"cluster\").leader_id'")]
pub(crate) struct StatusArgs {}

#[derive(Debug, Serialize)]
struct Node<'a> {
    kind: &'static str,
    address: &'a str,
    reachable: bool,
    #[serde(flatten)]
    report: Option<&'a NodeReport>,
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Store<'a> {
    kind: &'static str,
    address: &'a str,
    reachable: bool,
    #[serde(flatten)]
    report: Option<StoreReport>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct StoreReport {
    cluster_id: String,
    revision: u64,
    resources: u64,
    keys: u64,
    highest_token: u64,
    floor: u64,
    stale_refused: u64,
    version: String,
}

#[derive(Debug, Serialize)]
struct Cluster {
    kind: &'static str,
    leader_id: Option<u64>,
    majority: bool,
}

pub(crate) async fn run(common: &Common, _args: &StatusArgs) -> Result<Exit, Failure> {
    if common.endpoints.is_empty() && common.store.is_none() {
        return Err(Failure::usage("the status of what? pass --endpoints, --store or both"));
    }
    let (cluster, store) = tokio::join!(ask_cluster(common), ask_store(common));
    let (cluster, store) = (cluster?, store?);
    let cluster = cluster.map_or(Ok(()), |asked| show_cluster(common, asked));
    let store = store.map_or(Ok(()), |asked| show_store(common, asked));
    cluster.and(store).map(|()| Exit::Done)
}

/// What each node said, and whether a leader with a majority answers.
struct AskedCluster {
    reports: Vec<Result<NodeReport, String>>,
    probed: Result<ResourceStatus, RequestError>,
}

async fn ask_cluster(common: &Common) -> Result<Option<AskedCluster>, Failure> {
    if common.endpoints.is_empty() {
        return Ok(None);
    }
    let client = common.client()?;
    let patience = common.timeout.min(NODE_PATIENCE);
    let (reports, probed) = tokio::join!(ask_all(&common.endpoints, patience), client.get(PROBE));
    Ok(Some(AskedCluster { reports, probed }))
}

async fn ask_store(common: &Common) -> Result<Option<Result<StoreStatus, StoreError>>, Failure> {
    match common.store {
        Some(_) => Ok(Some(common.store_client("")?.status().await)),
        None => Ok(None),
    }
}

fn show_cluster(common: &Common, asked: AskedCluster) -> Result<(), Failure> {
    let AskedCluster { reports, probed } = asked;
    let addressed: Vec<_> = common.endpoints.iter().zip(&reports).collect();
    show_nodes(common.output, &addressed)?;
    let majority = probed.is_ok();
    // Of two that name different leaders, the one of the later term may be right.
    let latest = reports.iter().flatten().max_by_key(|node| (node.term, node.leader_id));
    let leader_id = latest.and_then(|node| node.leader_id).filter(|_| majority);
    if common.output == Format::Json {
        Format::Json.show(&Cluster { kind: "cluster", leader_id, majority })?;
    }
    probed.map(drop).map_err(|error| {
        let failure = Failure::from(error);
        Failure { message: format!("no leader with a majority: {failure}"), ..failure }
    })
}

fn show_store(common: &Common, asked: Result<StoreStatus, StoreError>) -> Result<(), Failure> {
    let address = common.store.as_deref().unwrap_or_default();
    let (report, error) = match &asked {
        Ok(status) => (Some(StoreReport::from(status.clone())), None),
        Err(error) => (None, Some(error.to_string())),
    };
    common.output.show(&Store {
        kind: "store",
        address,
        reachable: report.is_some(),
        report,
        error,
    })?;
    asked.map(drop).map_err(|error| {
        Failure::new(UNAVAILABLE, "NO_STORE", format!("the store does not answer: {error}"))
    })
}

type Addressed<'a> = (&'a String, &'a Result<NodeReport, String>);

fn show_nodes(format: Format, nodes: &[Addressed<'_>]) -> Result<(), Failure> {
    match format {
        Format::Text | Format::Csv => print_line(&table(nodes)),
        Format::Json => nodes.iter().try_for_each(|(address, asked)| {
            Format::Json.show(&Node {
                kind: "node",
                address,
                reachable: asked.is_ok(),
                report: asked.as_ref().ok(),
                error: asked.as_ref().err().map(String::as_str),
            })
        }),
    }
}

const HEADER: [&str; 8] =
    ["NODE", "ADDRESS", "ROLE", "TERM", "LEADER", "APPLIED", "CLAIMS", "LAST TOKEN"];

fn table(nodes: &[Addressed<'_>]) -> String {
    let row = |(address, asked): &Addressed<'_>| match asked {
        Ok(node) => [
            node.node_id.to_string(),
            (*address).clone(),
            node.role.to_owned(),
            node.term.to_string(),
            node.leader_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            node.applied_index.to_string(),
            node.claims.to_string(),
            node.last_token.to_string(),
        ],
        Err(why) => {
            let none = || "-".to_owned();
            let role = format!("({why})");
            [none(), (*address).clone(), role, none(), none(), none(), none(), none()]
        }
    };
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(nodes.iter().map(row));
    aligned(&rows)
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl From<StoreStatus> for StoreReport {
    fn from(status: StoreStatus) -> Self {
        let StoreStatus {
            version,
            cluster_id,
            floor,
            revision,
            resources,
            keys,
            highest_token,
            stale_refused,
        } = status;
        Self { cluster_id, revision, resources, keys, highest_token, floor, stale_refused, version }
    }
}

impl Show for Node<'_> {
    fn text(&self) -> String {
        String::new()
    }
}

impl Show for Cluster {
    fn text(&self) -> String {
        String::new()
    }
}

impl Show for Store<'_> {
    fn text(&self) -> String {
        match (&self.report, &self.error) {
            (Some(store), _) => format!(
                "store  {}  {} resources, {} keys, revision {}, highest token {}, {} stale refused",
                self.address,
                store.resources,
                store.keys,
                store.revision,
                store.highest_token,
                store.stale_refused
            ),
            (None, Some(error)) => format!("store  {}  ({error})", self.address),
            (None, None) => format!("store  {}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_spaces() {
        let rows = [["a", "bb", "c"], ["aaa", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "a    bb  c\naaa  b");
    }
}
