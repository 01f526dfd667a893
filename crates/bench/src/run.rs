//! What every workload has: settings, clock, names, connections.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leasehold_client::ClientConfig;

use crate::figures::{Figures, UNFINISHED};
use crate::link::session::Session;
use crate::link::unary::Unary;
use crate::link::{Ask, HOLDER, Link, RequestIds};
use crate::load::{Client, Window, drive};
use crate::locks::Locks;
use crate::progress::Progress;
use crate::time::{Clock, MachineClock};
use crate::{Error, Over, Settings, Target, Workload};

/// One run of one workload.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) workload: Workload,
    /// What it is done over.
    pub(crate) way: &'static str,
    pub(crate) settings: Settings,
    pub(crate) target: Target,
    pub(crate) clock: MachineClock,
    pub(crate) requests: Arc<RequestIds>,
    /// All names begin with it: no two runs meet.
    pub(crate) prefix: String,
}

impl Run {
    pub(crate) fn new(
        workload: Workload,
        way: &'static str,
        settings: &Settings,
        target: &Target,
    ) -> Result<Self, Error> {
        let other = |why: String| Error::Other(why);
        let number = getrandom::u64().map_err(|error| other(error.to_string()))?;
        Ok(Self {
            workload,
            way,
            settings: settings.clone(),
            target: target.clone(),
            clock: MachineClock::start().map_err(|error| other(error.to_string()))?,
            requests: Arc::new(RequestIds::new(number)),
            prefix: format!("bench/{number:016x}/"),
        })
    }

    /// The name of a resource.
    pub(crate) fn resource(&self, number: usize) -> String {
        format!("{}{number}", self.prefix)
    }

    pub(crate) fn resources(&self) -> usize {
        self.settings.resources(self.workload)
    }

    /// The names of the resources that are this client's own.
    pub(crate) fn share(&self, client: usize) -> Vec<String> {
        let step = self.settings.clients;
        (client..self.resources()).step_by(step).map(|number| self.resource(number)).collect()
    }

    /// The connections to the cluster.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn links(&self) -> Result<Vec<Link>, Error> {
        let Settings { clients, connections, over, ttl, timeout, .. } = self.settings;
        let mut links = Vec::new();
        for _ in 0..connections.min(clients) {
            let endpoints = self.target.endpoints.clone();
            let link = match over {
                Over::Session => Session::open(endpoints, ttl, timeout).await.map(Link::Session),
                Over::Unary => Unary::open(endpoints, timeout).await.map(Link::Unary),
            };
            links.push(link.map_err(Error::Unavailable)?);
        }
        Ok(links)
    }

    /// The client library.
    ///
    /// # Errors
    /// [`Error::Setting`] when an endpoint is none.
    pub(crate) fn library(&self) -> Result<leasehold_client::Client, Error> {
        let config = ClientConfig {
            endpoints: self.target.endpoints.clone(),
            holder: HOLDER.to_owned(),
            request_timeout: self.settings.timeout,
            ..ClientConfig::default()
        };
        leasehold_client::Client::new(config)
            .map_err(|bad| Error::Setting { flag: "--endpoints", why: bad.to_string() })
    }

    /// What one client needs to ask.
    pub(crate) fn asker<L: Locks>(&self, link: &L) -> Asker<L> {
        Asker {
            link: link.clone(),
            clock: self.clock.clone(),
            requests: Arc::clone(&self.requests),
            ttl: self.settings.ttl,
        }
    }

    /// An asker for each client: client n uses the link at n modulo their number.
    pub(crate) fn askers<L: Locks>(&self, links: &[L]) -> impl Iterator<Item = Asker<L>> {
        (0..self.settings.clients).map(|at| self.asker(&links[at % links.len()]))
    }

    /// The time that counts, if it begins now.
    pub(crate) fn window(&self) -> Window {
        let from = self.clock.now() + self.settings.warmup;
        Window { from, until: from + self.settings.duration }
    }

    /// Lets these clients work through a window of their own, and counts what is not finished at last.
    pub(crate) async fn drive<C: Client>(
        &self,
        measure: &'static str,
        window: Window,
        figures: &Arc<Figures>,
        clients: impl IntoIterator<Item = C>,
    ) {
        let _shown = Progress::show(self, "", Some(window), figures);
        let Settings { pace, timeout, .. } = self.settings;
        let unfinished = drive(&self.clock, pace, window, timeout, clients).await;
        if unfinished > 0 {
            figures.count(measure, UNFINISHED, unfinished);
        }
    }
}

/// A resource that one client acquires and releases, again and again.
///
/// When it does not know whether it holds it, it goes on with another name: otherwise it would be
/// refused by its own ghost until that expires, and the refusals would be in the figures.
#[derive(Clone, Debug)]
pub(crate) struct OwnResource {
    base: String,
    current: String,
    ghosts: u64,
}

impl OwnResource {
    pub(crate) fn new(base: String) -> Self {
        Self { current: base.clone(), base, ghosts: 0 }
    }

    pub(crate) fn name(&self) -> &str {
        &self.current
    }

    pub(crate) fn leave_to_its_ghost(&mut self) {
        self.ghosts += 1;
        self.current = format!("{}.{}", self.base, self.ghosts);
    }
}

/// What a client asks with.
#[derive(Clone, Debug)]
pub(crate) struct Asker<L = Link> {
    pub(crate) link: L,
    pub(crate) clock: MachineClock,
    pub(crate) requests: Arc<RequestIds>,
    pub(crate) ttl: Duration,
}

impl<L> Asker<L> {
    /// A claim on `resource` that is given up after `wait` in line.
    pub(crate) fn ask(&self, resource: &str, wait: Duration) -> Ask {
        self.ask_as(self.requests.next(), resource, wait)
    }

    pub(crate) fn ask_as(&self, request: Bytes, resource: &str, wait: Duration) -> Ask {
        Ask { resource: resource.to_owned(), request, ttl: self.ttl, wait }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }
}
