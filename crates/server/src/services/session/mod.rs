//! Session: everything one client does, on one stream.
//!
//! One task for each stream. It waits for one thing ([`Session::next_turn`]), then decides
//! ([`Session::on_turn`]) without waiting for anybody but the hub, which waits for nobody. Reading the
//! client's attempts never depends on the client reading answers, and never on room for acquires: an
//! attempt that finds none is answered `QUEUE_FULL` at once. Even after the end it is read on.
//!
//! Whether an attempt's number was used before is the client's affair; its answer carries it back.

mod attempts;
mod given_back;
mod replies;

use futures_util::FutureExt;
use hashbrown::HashSet;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::session_response::Message;
use leasehold_api::{Failure, Problem, claim_from_answer, duration_from_ms, event_to_wire};
use leasehold_core::{Command, Outcome};
use leasehold_raft::{AsyncRuntime, Member};
use leasehold_types::{BadField, Event, Fault, RequestId, Revision};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::{Status, Streaming};

use super::{Services, answers};
use crate::hub::{Follower, Following, is_end};
use attempts::{Answered, Attempts, Kind};
use given_back::GivenBack;
use replies::Replies;
pub(crate) use replies::ReplyStream;

/// Pushes that wait for the session's turn.
const EVENTS_QUEUE: usize = 4_096;
/// Attempts or answers taken in one turn.
const TOGETHER: usize = 256;

impl<RT: AsyncRuntime> Services<RT> {
    pub(super) fn open_session(
        &self,
        inbound: Streaming<pb::SessionRequest>,
    ) -> Result<ReplyStream, Problem> {
        self.refuse_when_stopping()?;
        let permit = self.sessions.take()?;
        let (replies, stream) = replies::replies(self.limits.session_reply_bytes_max);
        let (follower, following) = Follower::new(EVENTS_QUEUE);
        let session = Session {
            attempts: Attempts::new(
                self.limits.session_renewals_max,
                self.limits.session_attempts_max,
            ),
            services: self.clone(),
            inbound,
            reading: true,
            follower,
            following,
            followed: HashSet::new(),
            given_back: GivenBack::default(),
            leader: self.leader.clone(),
            _permit: permit,
        };
        tokio::spawn(session.run(replies));
        Ok(stream)
    }
}

struct Session<RT: AsyncRuntime> {
    services: Services<RT>,
    inbound: Streaming<pb::SessionRequest>,
    /// Whether more attempts are taken.
    reading: bool,
    attempts: Attempts,
    follower: Follower,
    following: Following,
    /// The claims that the hub was asked to tell about.
    followed: HashSet<RequestId>,
    given_back: GivenBack,
    leader: watch::Receiver<Option<Member>>,
    _permit: OwnedSemaphorePermit,
}

/// What a session waits for.
enum Turn {
    Asked(Asked),
    Answered(Answered),
    Happened(Event),
    LeaderChanged,
    Stopping,
    ClientGone,
}

/// The client's next attempt; `None` when it has no more; an error for a message that is too large and
/// for a connection that broke.
type Asked = Result<Option<pb::SessionRequest>, Status>;

/// Claims to be followed, each after the revision of its answer.
type ToFollow = Vec<(RequestId, Revision)>;

impl<RT: AsyncRuntime> Session<RT> {
    async fn run(mut self, replies: Replies) {
        let Err(problem) = self.serve(&replies).await else { return };
        replies.fail(problem);
        discard(self.into_inbound(), &replies).await;
    }

    /// Gives everything else back: the place among the sessions, and whom the hub tells.
    fn into_inbound(self) -> Streaming<pb::SessionRequest> {
        self.inbound
    }

    async fn serve(&mut self, replies: &Replies) -> Result<(), Problem> {
        self.leader.mark_unchanged();
        self.welcome(replies).await?;
        loop {
            match self.next_turn(replies).await {
                Turn::ClientGone => return Ok(()),
                turn => self.on_turn(turn, replies).await?,
            }
            if !self.reading && self.attempts.is_empty() {
                return self.services.refuse_when_stopping();
            }
        }
    }

    /// Only waits. Every branch may be dropped and asked again.
    async fn next_turn(&mut self, replies: &Replies) -> Turn {
        tokio::select! {
            answered = self.attempts.next() => Turn::Answered(answered),
            asked = self.inbound.message(), if self.reading => Turn::Asked(asked),
            Some(event) = self.following.events.recv() => Turn::Happened(event),
            Ok(()) = self.leader.changed() => Turn::LeaderChanged,
            () = self.services.stopping.begun(), if self.reading => Turn::Stopping,
            () = replies.closed() => Turn::ClientGone,
        }
    }

    async fn on_turn(&mut self, turn: Turn, replies: &Replies) -> Result<(), Problem> {
        match turn {
            Turn::Asked(asked) => self.on_asked(asked, replies),
            Turn::Answered(answered) => self.on_answered(answered, replies).await,
            Turn::Happened(event) => self.on_event(event, replies),
            Turn::LeaderChanged => self.welcome(replies).await,
            Turn::Stopping => {
                self.reading = false;
                Ok(())
            }
            Turn::ClientGone => Ok(()),
        }
    }

    /// Takes whatever else was asked by now along: under load, many attempts are one turn.
    fn on_asked(&mut self, first: Asked, replies: &Replies) -> Result<(), Problem> {
        let mut next = Some(first);
        let mut more = TOGETHER;
        while let Some(asked) = next {
            let Some(attempt) = asked.map_err(|status| Problem::from(&status))? else {
                self.reading = false;
                return Ok(());
            };
            self.on_attempt(attempt, replies)?;
            more -= 1;
            next = if more > 0 { self.inbound.message().now_or_never() } else { None };
        }
        Ok(())
    }

    fn on_attempt(&mut self, asked: pb::SessionRequest, replies: &Replies) -> Result<(), Problem> {
        let pb::SessionRequest { attempt, command } = asked;
        if attempt == 0 {
            let allowed = "1 or more, never used before on this stream";
            return Err(BadField::new("attempt", "0", allowed).into());
        }
        match self.begin(attempt, command) {
            Ok(()) => Ok(()),
            Err(problem) => replies.push(failed(attempt, &problem)),
        }
    }

    fn begin(
        &mut self,
        number: u64,
        asked: Option<pb::session_request::Command>,
    ) -> Result<(), Problem> {
        let (kind, command) = attempts::checked(asked)?;
        self.services.refuse_when_stopping()?;
        let given_back = match &command {
            Command::Release { token, .. } => Some(*token),
            _ => None,
        };
        self.attempts.begin(&self.services.node, number, kind, command)?;
        if let Some(token) = given_back {
            self.given_back.note(token);
        }
        Ok(())
    }

    /// Takes whatever else is answered by now along, so that the hub is asked once.
    async fn on_answered(&mut self, first: Answered, replies: &Replies) -> Result<(), Problem> {
        if self.following.take_missed() {
            self.followed.clear();
        }
        let mut to_follow = ToFollow::new();
        let mut next = Some(first);
        let mut more = TOGETHER;
        while let Some(answered) = next {
            replies.push(self.reply(answered, &mut to_follow))?;
            more -= 1;
            next = if more > 0 { self.attempts.next().now_or_never() } else { None };
        }
        if to_follow.is_empty() {
            return Ok(());
        }
        let followed = self.services.hub.follow(to_follow, &self.follower).await;
        followed.map_err(|_| Fault::ShuttingDown.into())
    }

    fn reply(&mut self, answered: Answered, to_follow: &mut ToFollow) -> pb::SessionResponse {
        let Answered { number, kind, outcome } = answered;
        let message = outcome
            .map_err(Problem::from)
            .and_then(|outcome| self.message(kind, outcome, to_follow));
        match message {
            Ok(message) => pb::SessionResponse { attempt: number, message: Some(message) },
            Err(problem) => failed(number, &problem),
        }
    }

    fn message(
        &mut self,
        kind: Kind,
        outcome: Outcome,
        to_follow: &mut ToFollow,
    ) -> Result<Message, Problem> {
        Ok(match kind {
            Kind::Acquire => {
                let acquired = answers::acquired(outcome)?;
                self.follow(acquired.claim.request, acquired.revision, to_follow);
                let claim = Some(claim_from_answer(&acquired.claim));
                Message::Acquired(pb::SessionAcquired { claim, revision: acquired.revision.0 })
            }
            Kind::Renew => {
                let renewed = answers::renewed(outcome)?;
                for claim in renewed.items.iter().flatten() {
                    self.follow(claim.request, renewed.revision, to_follow);
                }
                Message::Renewed(pb::RenewResponse::from(&renewed))
            }
            Kind::Release => Message::Released(answers::released(outcome)?),
            Kind::Cancel => Message::Cancelled(answers::cancelled(outcome)?),
        })
    }

    fn follow(&mut self, request: RequestId, after: Revision, to_follow: &mut ToFollow) {
        if self.followed.insert(request) {
            to_follow.push((request, after));
        }
    }

    fn on_event(&mut self, event: Event, replies: &Replies) -> Result<(), Problem> {
        if is_end(&event) {
            self.followed.remove(&event.request);
        }
        if self.given_back.take(&event) {
            return Ok(());
        }
        let message = Some(Message::Pushed(event_to_wire(&event)));
        replies.push(pb::SessionResponse { attempt: 0, message })
    }

    async fn welcome(&mut self, replies: &Replies) -> Result<(), Problem> {
        let request_memory_ms = self.services.request_memory_ms().await;
        let leader = self.leader.borrow_and_update().clone();
        let (leader_id, leader_address) =
            leader.map_or((0, String::new()), |leader| (leader.node_id, leader.client_address));
        let welcome = pb::SessionWelcome {
            cluster_id: self.services.cluster_id.clone(),
            node_id: self.services.node_id,
            leader_id,
            leader_address,
            request_memory: Some(duration_from_ms(request_memory_ms)),
        };
        let message = Some(Message::Welcome(welcome));
        replies.push(pb::SessionResponse { attempt: 0, message })
    }
}

/// Reads on, until the client knows of the end or is gone: what it sends to a stream that nobody reads
/// would be held against the whole connection.
async fn discard(mut inbound: Streaming<pb::SessionRequest>, replies: &Replies) {
    loop {
        tokio::select! {
            asked = inbound.message() => if !matches!(asked, Ok(Some(_))) { return },
            () = replies.closed() => return,
        }
    }
}

fn failed(attempt: u64, problem: &Problem) -> pb::SessionResponse {
    let message = Some(Message::Failed(Failure::from(problem).into()));
    pb::SessionResponse { attempt, message }
}
