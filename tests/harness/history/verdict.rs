//! The end of a history: what was left open is written, everything is read back, counted and checked.

use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_sim::history::record::Record;
use leasehold_sim::history::search::{Verdict, search};
use leasehold_sim::history::{self, Counts};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{GrpcMethod, Request, Status};

use super::{History, State};

/// Counts messages where they leave, whoever sent them.
#[derive(Clone)]
pub struct Counting(Arc<History>);

impl Counting {
    pub(super) fn of(history: &Arc<History>) -> Self {
        Self(Arc::clone(history))
    }
}

impl Interceptor for Counting {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let method = request.extensions().get::<GrpcMethod<'static>>();
        let method = method.map(|method| format!("{}/{}", method.service(), method.method()));
        let method = method.expect("generated code says what it calls");
        *self.0.state().sent.entry(method).or_default() += 1;
        Ok(request)
    }
}

/// A history in which no promise was broken, and of which nothing is missing.
#[derive(Debug)]
pub struct Checked {
    pub counts: Counts,
    /// Calls without a line, all answered BAD_FIELD.
    pub malformed: u64,
    /// Renewed items and cancelled ids without a line, since nobody told their resource.
    pub nameless: u64,
}

impl History {
    /// Ends the history and checks it. `told_all` says whether nobody else did anything: then a full search
    /// of small resources must find an order for what was answered. A good history's file goes, unless
    /// `KEEP_HISTORIES` is set.
    ///
    /// # Errors
    /// What is wrong and where the file is, which then stays.
    pub fn finish(&self, told_all: bool) -> Result<Checked, String> {
        let verdict = self.verdict(told_all);
        if verdict.is_ok() && std::env::var_os("KEEP_HISTORIES").is_none() {
            let _ = std::fs::remove_file(&self.path);
        }
        verdict.map_err(|broken| {
            let path = self.path.display();
            format!("{broken}\nthe history is {path}: `leasehold-sim check` tells the same")
        })
    }

    /// Where it is written.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// How many calls were made so far.
    pub fn asked(&self) -> u64 {
        self.state().asked
    }

    /// A client that is counted and not recorded: what this history must notice.
    pub fn generated_client(
        self: &Arc<Self>,
        channel: Channel,
    ) -> LeaseServiceClient<InterceptedService<Channel, Counting>> {
        LeaseServiceClient::with_interceptor(channel, Counting::of(self))
    }

    fn verdict(&self, told_all: bool) -> Result<Checked, String> {
        let mut state = self.state();
        self.close(&mut state);
        state.must_be_whole()?;
        let file = std::fs::File::open(&self.path).map_err(|error| error.to_string())?;
        let written = history::History::read(BufReader::new(file));
        let written = written.map_err(|error| format!("the history cannot be read: {error}"))?;
        let report = history::check(&written);
        if report.counts.calls != state.lines {
            let (read, lines) = (report.counts.calls, state.lines);
            return Err(format!("{lines} lines of calls were written, {read} were checked"));
        }
        if !report.is_clean() {
            return Err(format!("a promise was broken\n{report}"));
        }
        if told_all {
            let verdicts = search(&written);
            let wrong = verdicts.into_iter().find(|(_, found)| *found == Verdict::NotLinearizable);
            if let Some((resource, _)) = wrong {
                return Err(format!("no order of the calls on {resource} explains their answers"));
            }
        }
        let nameless = state.nameless.len() as u64;
        Ok(Checked { counts: report.counts, malformed: state.malformed, nameless })
    }

    /// What is open is unknown; what has no resource yet may have one now.
    fn close(&self, state: &mut State) {
        let open = std::mem::take(&mut state.open);
        for (number, lines) in open {
            lines.into_iter().flatten().for_each(|line| self.write(state, number, line));
        }
        for (number, line) in std::mem::take(&mut state.nameless) {
            self.write(state, number, line);
        }
        for watched in std::mem::take(&mut state.watches).into_values() {
            self.put(&Record::Watched(watched));
        }
        state.is_over = true;
    }
}

impl State {
    /// As many calls as left are in the file, or were left out for a reason that is allowed.
    fn must_be_whole(&self) -> Result<(), String> {
        if self.sent != self.begun {
            let (sent, begun) = (&self.sent, &self.begun);
            return Err(format!("sent were {sent:?}, and recorded {begun:?}"));
        }
        if let Some(one) = self.inexpressible.first() {
            return Err(format!("a call has no line and was not answered BAD_FIELD: {one}"));
        }
        let mut nameless: Vec<u64> = self.nameless.iter().map(|(number, _)| *number).collect();
        nameless.retain(|number| !self.told.contains(number));
        nameless.dedup();
        let accounted = self.told.len() as u64 + nameless.len() as u64 + self.malformed;
        if accounted != self.asked {
            return Err(format!("{} calls were made, {accounted} are accounted for", self.asked));
        }
        Ok(())
    }
}
