//! A TCP proxy on every directed link, in this process: one thread in each host's namespace.
//!
//! A host reaches another by a name that is an address on its own loopback. The proxy that listens
//! there connects on to the real address, and does to the bytes what it is told. So a fault lies on
//! one direction between two hosts, whoever made the connection, and no other host feels it.

mod fault;
mod pump;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use fault::{Fault, Hits};

use super::network::{Host, Network, enter};
use crate::Outcome;
use fault::Link;

/// All proxies of a run. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxies {
    /// By the names of who connects and of whom it reaches.
    links: BTreeMap<(String, String), Link>,
    hits: Arc<Hits>,
    /// Dropped with this, which is how the threads hear of it.
    _running: watch::Sender<()>,
}

impl Proxies {
    /// Listens on every host for every other one on these ports; `hits` goes on counting.
    pub(crate) fn start(
        network: &Network,
        ports: impl Fn(&Host) -> Vec<u16>,
        hits: Arc<Hits>,
    ) -> Outcome<Self> {
        let (running, ended) = watch::channel(());
        let mut links = BTreeMap::new();
        for host in network.hosts() {
            let mut doors = Vec::new();
            for other in network.hosts() {
                let link = Link::new(Arc::clone(&hits));
                for port in ports(other) {
                    let front: SocketAddr = format!("{}:{port}", other.loopback()).parse()?;
                    let target = format!("{}:{port}", other.address()).parse()?;
                    doors.push(Door { front, target, link: link.clone() });
                }
                links.insert((host.name.clone(), other.name.clone()), link);
            }
            serve_on(network.namespace(host), doors, ended.clone())?;
        }
        Ok(Self { links, hits, _running: running })
    }

    /// From now on this happens to bytes from one host to another, on the connections of both.
    pub(crate) fn set(&self, from: &Host, to: &Host, fault: Fault) {
        let (from, to) = (from.name.clone(), to.name.clone());
        if let Some(link) = self.links.get(&(from.clone(), to.clone())) {
            link.forth.send_replace(fault);
        }
        if let Some(link) = self.links.get(&(to, from)) {
            link.back.send_replace(fault);
        }
    }

    /// Everything passes again.
    pub(crate) fn calm(&self) {
        for link in self.links.values() {
            link.forth.send_replace(Fault::None);
            link.back.send_replace(Fault::None);
        }
    }

    /// What was done to bytes so far.
    pub(crate) fn hits(&self) -> &Hits {
        &self.hits
    }
}

/// Where a proxy listens, and for whom.
struct Door {
    front: SocketAddr,
    target: SocketAddr,
    link: Link,
}

/// Starts the thread of one host, and returns when it listens.
fn serve_on(namespace: String, doors: Vec<Door>, ended: watch::Receiver<()>) -> Outcome<()> {
    let (ready, listening) = mpsc::channel();
    std::thread::Builder::new().name(namespace.clone()).spawn(move || {
        let opened = || -> Outcome<_> {
            enter(&namespace)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let listeners = doors
                .iter()
                .map(|door| runtime.block_on(TcpListener::bind(door.front)))
                .collect::<Result<Vec<_>, _>>()?;
            Ok((runtime, listeners))
        };
        match opened() {
            Ok((runtime, listeners)) => {
                // Whoever started this waits for the word; if not, there is nobody to serve.
                let _ = ready.send(Ok(()));
                runtime.block_on(serve(doors, listeners, ended));
            }
            Err(error) => _ = ready.send(Err(format!("{namespace}: {error}"))),
        }
    })?;
    Ok(listening.recv()??)
}

async fn serve(doors: Vec<Door>, listeners: Vec<TcpListener>, mut ended: watch::Receiver<()>) {
    for (door, listener) in doors.into_iter().zip(listeners) {
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((near, _)) => {
                        tokio::spawn(pump::carry(near, door.target, door.link.clone()));
                    }
                    // Too many open files: those that are open will close.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                }
            }
        });
    }
    // The sender is never used: that it is gone is the message.
    let _ = ended.changed().await;
}
