//! `store`: fenced writes, each durable before it is answered, each client to resources of its own.
//!
//! Over `session` they are pipelined on WriteStreams, over `unary` each is a call. The tokens are real:
//! each resource was acquired and released once before. Measured: `write`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leasehold_api::pb::store::v1::mutation::Operation;
use leasehold_api::pb::store::v1::{Mutation, Put, WriteRequest};

use super::outcome;
use super::renew::{hold_shares, release_all};
use crate::figures::{Figures, MISSED, Measured};
use crate::link::store::StoreLink;
use crate::load::Client;
use crate::locks::{Failed, Write, Writes};
use crate::run::Run;
use crate::time::{Clock, MachineClock};
use crate::{Error, Over};

struct Writer<W> {
    link: W,
    clock: MachineClock,
    figures: Arc<Figures>,
    resources: Vec<Resource>,
    next: usize,
    value: Bytes,
}

struct Resource {
    name: String,
    token: u64,
    sequence: u64,
}

pub(crate) async fn run(run: &Run) -> Result<Vec<Measured>, Error> {
    let Some(address) = &run.target.store else {
        let why = "store: writes need a store; pass --store HOST:PORT".to_owned();
        return Err(Error::Setting { flag: "--store", why });
    };
    let holders = hold_shares(run, &run.links().await?, &Arc::new(Figures::new(None))).await?;
    let shares: Vec<_> = holders.iter().map(|holding| holding.leases.clone()).collect();
    release_all(holders).await;
    write_over(run, &links(run, address).await?, shares).await
}

/// Lets each client write to its share, resources with a token each.
pub(crate) async fn write_over<W: Writes>(
    run: &Run,
    links: &[W],
    shares: Vec<Vec<(String, u64)>>,
) -> Result<Vec<Measured>, Error> {
    let window = run.window();
    let figures = Arc::new(Figures::new(Some(window)));
    let value = Bytes::from(vec![b'v'; run.settings.value_bytes]);
    let clients = shares.into_iter().enumerate().map(|(at, share)| Writer {
        link: links[at % links.len()].clone(),
        clock: run.clock.clone(),
        figures: Arc::clone(&figures),
        resources: share
            .into_iter()
            .map(|(name, token)| Resource { name, token, sequence: 0 })
            .collect(),
        next: 0,
        value: value.clone(),
    });
    run.drive("write", window, &figures, clients).await;
    Ok(figures.read())
}

async fn links(run: &Run, address: &str) -> Result<Vec<StoreLink>, Error> {
    let mut links = Vec::new();
    for _ in 0..run.settings.connections.min(run.settings.clients) {
        let link = match run.settings.over {
            Over::Session => StoreLink::stream(address, run.settings.timeout).await,
            Over::Unary => StoreLink::unary(address, run.settings.timeout).await,
        };
        links.push(link.map_err(Error::Unavailable)?);
    }
    Ok(links)
}

impl Writes for StoreLink {
    async fn write(&self, write: Write<'_>) -> Result<(), Failed> {
        let Write { resource, token, sequence, value } = write;
        let put = Operation::Put(Put { key: "value".to_owned(), value: value.clone() });
        self.send(WriteRequest {
            resource: resource.to_owned(),
            token,
            sequence,
            mutations: vec![Mutation { operation: Some(put), expected_version: None }],
            cluster_id: String::new(),
        })
        .await
    }
}

impl<W: Writes> Client for Writer<W> {
    async fn operate(&mut self, due: Duration) {
        let Self { link, clock, figures, resources, next, value } = self;
        let at = *next % resources.len();
        *next += 1;
        let resource = &mut resources[at];
        resource.sequence += 1;
        let Resource { name, token, sequence } = &*resource;
        let write = Write { resource: name, token: *token, sequence: *sequence, value };
        let written = link.write(write).await;
        figures.record("write", outcome(&written), due, clock.now().saturating_sub(due));
    }

    fn missed(&mut self, due: Duration, waited: Duration) {
        self.figures.record("write", MISSED, due, waited);
    }
}
