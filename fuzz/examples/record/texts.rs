//! What people write: config files, command lines from the documentation, names, histories.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use leasehold_sim::history::record::{
    Acquire, Belief, Done, Event, EventKind, Increment, Outcome, Record, Refused, Release,
    Released, Renew, Standing, Token, Total, Watched, Write, Written,
};

use crate::seeds::Seeds;

pub(crate) fn record(seeds: &Seeds) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    configs(seeds, &root)?;
    command_lines(seeds, &root)?;
    seeds.take("names", 0, "jobs/\njobs/nightly\njobs/nightly/eu\ndeploy/web\nélan\n".as_bytes());
    seeds.take("names", 0, b"\na\na/b\nb\nb/a\nlocks:shard=3\n");
    histories(seeds)?;
    Ok(())
}

/// Every file that comes with the project, with and without its comments, and those of the tests.
fn configs(seeds: &Seeds, root: &Path) -> Result<(), Box<dyn Error>> {
    for (kind, folder) in [(0, "config"), (0, "deploy/compose"), (0, "deploy")] {
        for path in files(&root.join(folder), "toml") {
            let text = fs::read_to_string(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let kind = if name.contains("store") { 1 } else { kind };
            let told = |line: &&str| !line.trim_start().starts_with('#') && !line.trim().is_empty();
            let bare: Vec<&str> = text.lines().filter(told).collect();
            seeds.take("config", kind, bare.join("\n").as_bytes());
        }
    }
    let folder = Path::new("/var/lib/leasehold");
    seeds.take("config", 0, server_config(folder, 7_100, 7_200).as_bytes());
    seeds.take("config", 1, store_config(folder, 7_300).as_bytes());
    Ok(())
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// A node by itself.
pub(crate) fn server_config(folder: &Path, client: u16, peer: u16) -> String {
    format!(
        "cluster_id = \"recorded\"\nnode_id = 1\ndata_dir = {:?}\n\
         client_listen = \"127.0.0.1:{client}\"\npeer_listen = \"127.0.0.1:{peer}\"\n\
         [timing]\nheartbeat = \"50ms\"\nelection_min = \"150ms\"\nelection_max = \"300ms\"\n\
         [cluster]\nttl_min = \"1s\"\nstamp_interval = \"100ms\"\nended_memory = \"7s\"\n\
         [[members]]\nnode_id = 1\nclient_address = \"127.0.0.1:{client}\"\n\
         peer_address = \"127.0.0.1:{peer}\"\n",
        folder.join("node").display().to_string(),
    )
}

pub(crate) fn store_config(folder: &Path, listen: u16) -> String {
    format!(
        "data_dir = {:?}\nlisten = \"127.0.0.1:{listen}\"\nresources_max = 1000\n",
        folder.join("store").display().to_string(),
    )
}

/// Every example of every verb's help, and of the documentation.
fn command_lines(seeds: &Seeds, root: &Path) -> Result<(), Box<dyn Error>> {
    let mut texts = vec![fs::read_to_string(root.join("README.md"))?];
    for verb in leasehold::fuzz::verbs() {
        let words = ["leasehold", &verb, "--help"].map(Into::into);
        if let Err(help) = leasehold::fuzz::parse(&words) {
            texts.push(help.text);
        }
        seeds.take_whole("arguments", verb.into_bytes());
    }
    for line in texts.iter().flat_map(|text| text.lines()) {
        let Some((_, arguments)) = line.split_once("leasehold ") else { continue };
        let words: Vec<&str> =
            arguments.split_whitespace().map(|word| word.trim_matches('"')).collect();
        seeds.take_whole("arguments", words.join("\n").into_bytes());
    }
    Ok(())
}

/// One short story, told by those who were there.
fn histories(seeds: &Seeds) -> Result<(), Box<dyn Error>> {
    let token = |value| Token::new(value).expect("above 0");
    let (client, resource, request_id) =
        (|| "c1".to_owned(), || "jobs/nightly".to_owned(), || "q1".to_owned());
    let held = |revision| {
        Outcome::Ok(Standing {
            token: Some(token(7)),
            valid_for_ms: Some(10_000),
            revision: Some(revision),
            ..Standing::default()
        })
    };
    let story = [
        Record::Acquire(Acquire {
            client: client(),
            request_id: request_id(),
            resource: resource(),
            wait_ms: 5_000,
            retried: false,
            invoked_ns: 1_000,
            answered_ns: Some(2_000),
            outcome: held(1),
        }),
        Record::Event(Event {
            client: "w".into(),
            resource: resource(),
            request_id: request_id(),
            event: EventKind::Granted,
            token: Some(token(7)),
            revision: 2,
            received_ns: 2_500,
        }),
        Record::Belief(Belief {
            client: client(),
            resource: resource(),
            token: token(7),
            from_ns: 2_000,
            until_ns: 9_000,
        }),
        Record::Renew(Renew {
            client: client(),
            resource: resource(),
            token: Some(token(7)),
            request_id: None,
            invoked_ns: 3_000,
            answered_ns: Some(4_000),
            outcome: held(3),
        }),
        Record::Write(Write {
            client: client(),
            store: String::new(),
            resource: resource(),
            token: token(7),
            sequence: 1,
            mutations: Vec::new(),
            invoked_ns: 4_000,
            answered_ns: Some(5_000),
            outcome: Outcome::Ok(Written { revision: 1 }),
        }),
        Record::Increment(Increment {
            client: client(),
            counter: "n".into(),
            id: "i1".into(),
            invoked_ns: 4_000,
            answered_ns: Some(6_000),
            outcome: Outcome::Ok(Done {}),
        }),
        Record::Acquire(Acquire {
            client: "c2".into(),
            request_id: "q2".into(),
            resource: resource(),
            wait_ms: 0,
            retried: true,
            invoked_ns: 5_000,
            answered_ns: Some(6_000),
            outcome: Outcome::Refused(Refused::because("HELD")),
        }),
        Record::Release(Release {
            client: client(),
            resource: resource(),
            token: token(7),
            invoked_ns: 9_000,
            answered_ns: Some(9_500),
            outcome: Outcome::Ok(Released { was_held: true, revision: Some(4) }),
        }),
        Record::Watched(Watched {
            client: "w".into(),
            prefix: "jobs/".into(),
            after_revision: 0,
            through_revision: 6,
        }),
        Record::Total(Total { counter: "n".into(), value: 1, ids: Some(vec!["i1".into()]) }),
    ];
    let lines: Vec<String> = story.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    lines.iter().for_each(|line| seeds.take_whole("history", line.clone().into_bytes()));
    for part in lines.chunks(4) {
        seeds.take_whole("history", part.join("\n").into_bytes());
    }
    seeds.take_whole("history", lines.join("\n").into_bytes());
    Ok(())
}
