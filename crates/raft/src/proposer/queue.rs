//! Commands on their way into a batch.
//!
//! Two lanes: renewals, and everything else. A batch takes renewals first, so that no flood of
//! acquires lets a lease run out whose renewal has arrived; and leaves a quarter of itself to the
//! others, so that renewals do not shut them out either. Each lane is bounded in commands and bytes,
//! and a full one answers at once.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leasehold_core::Command;
use leasehold_types::Fault;
use tokio::sync::Notify;

use super::queued::{Origin, Queued, Waiter};
use crate::Limits;

/// One lane.
#[derive(Debug)]
struct Lane<I> {
    waiting: VecDeque<Queued<I>>,
    bytes: usize,
    /// How many of them peers passed on.
    from_peers: usize,
}

impl<I> Lane<I> {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, from_peers: 0 }
    }

    fn push_back(&mut self, queued: Queued<I>) {
        self.bytes += queued.waiter.bytes;
        self.from_peers += usize::from(queued.waiter.origin == Origin::Peer);
        self.waiting.push_back(queued);
    }

    fn push_front(&mut self, queued: Queued<I>) {
        self.bytes += queued.waiter.bytes;
        self.from_peers += usize::from(queued.waiter.origin == Origin::Peer);
        self.waiting.push_front(queued);
    }

    fn pop(&mut self) -> Option<Queued<I>> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.waiter.bytes;
        self.from_peers -= usize::from(next.waiter.origin == Origin::Peer);
        Some(next)
    }

    /// Moves commands from the front into `batch` while they fit into `room`.
    fn move_to(&mut self, batch: &mut Vec<Queued<I>>, room: &mut Room) {
        while let Some(next) = self.waiting.front()
            && room.fits(next.waiter.bytes)
        {
            batch.extend(self.pop());
        }
    }

    /// Takes out those that peers passed on.
    fn take_from_peers(&mut self, out: &mut Vec<Queued<I>>) {
        if self.from_peers == 0 {
            return;
        }
        for _ in 0..self.waiting.len() {
            let Some(next) = self.pop() else { return };
            match next.waiter.origin {
                Origin::Peer => out.push(next),
                Origin::Client => self.push_back(next),
            }
        }
    }
}

/// Room left in a batch.
#[derive(Clone, Copy, Debug)]
struct Room {
    commands: usize,
    bytes: usize,
    empty: bool,
}

impl Room {
    /// Takes the room for one more, if there is any; a batch of one may be of any size.
    fn fits(&mut self, bytes: usize) -> bool {
        let fits = self.commands > 0 && (bytes <= self.bytes || self.empty);
        if fits {
            self.commands -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
            self.empty = false;
        }
        fits
    }
}

/// Both lanes.
#[derive(Debug)]
struct Lanes<I> {
    renewals: Lane<I>,
    others: Lane<I>,
    open: bool,
}

impl<I> Lanes<I> {
    fn lane_of(&mut self, command: &Command) -> &mut Lane<I> {
        match command {
            Command::Renew(_) => &mut self.renewals,
            Command::Acquire(_)
            | Command::Release { .. }
            | Command::Cancel { .. }
            | Command::Pulse => &mut self.others,
        }
    }

    fn no_room_for(&mut self, queued: &Queued<I>, limits: &Limits) -> Option<Fault> {
        if !self.open {
            return Some(Fault::ShuttingDown);
        }
        let lane = self.lane_of(&queued.command);
        let (commands, bytes) = (limits.queue_commands_max, limits.queue_bytes_max);
        if lane.waiting.len() >= commands {
            return Some(Fault::QueueFull { limit: commands as u64 });
        }
        let fits = lane.bytes + queued.waiter.bytes <= bytes;
        (!fits).then_some(Fault::QueueFull { limit: bytes as u64 })
    }

    fn take(&mut self, limits: &Limits) -> Vec<Queued<I>> {
        let waiting = self.renewals.waiting.len() + self.others.waiting.len();
        let mut batch = Vec::with_capacity(waiting.min(limits.batch_commands_max));
        let whole = Room {
            commands: limits.batch_commands_max,
            bytes: limits.batch_bytes_max,
            empty: true,
        };
        let reserved = if self.others.waiting.is_empty() { 0 } else { 4 };
        let spare = |all: usize| all.checked_div(reserved).unwrap_or(0);
        let (commands, bytes) = (spare(whole.commands), spare(whole.bytes));
        let mut room =
            Room { commands: whole.commands - commands, bytes: whole.bytes - bytes, empty: true };
        self.renewals.move_to(&mut batch, &mut room);
        let mut room =
            Room { commands: room.commands + commands, bytes: room.bytes + bytes, ..room };
        self.others.move_to(&mut batch, &mut room);
        batch
    }
}

/// The queue in front of the proposer: many put in, one takes out.
#[derive(Debug)]
pub(crate) struct Queue<I> {
    lanes: Mutex<Lanes<I>>,
    arrived: Notify,
    limits: Limits,
}

impl<I: Copy> Queue<I> {
    pub(crate) fn new(limits: Limits) -> Self {
        let lanes = Mutex::new(Lanes { renewals: Lane::new(), others: Lane::new(), open: true });
        Self { lanes, arrived: Notify::new(), limits }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<I>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a command in, or says at once why not.
    pub(crate) fn put(&self, queued: Queued<I>) -> Result<(), Fault> {
        let mut lanes = self.lanes();
        if let Some(fault) = lanes.no_room_for(&queued, &self.limits) {
            queued.waiter.dismiss();
            return Err(fault);
        }
        lanes.lane_of(&queued.command).push_back(queued);
        drop(lanes);
        self.arrived.notify_one();
        Ok(())
    }

    /// Resolves when something has arrived since it last did.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// The next batch; empty if nothing waits.
    pub(crate) fn take(&self) -> Vec<Queued<I>> {
        self.lanes().take(&self.limits)
    }

    /// Puts back, in front and in order, what could not be proposed. Beyond every bound: it was
    /// within them when it came.
    pub(crate) fn give_back(&self, batch: Vec<Queued<I>>) {
        let mut lanes = self.lanes();
        for queued in batch.into_iter().rev() {
            lanes.lane_of(&queued.command).push_front(queued);
        }
    }

    /// Takes out what has waited, as `waited` tells, for `patience` or longer. The oldest are in
    /// front, so this looks no further than it must.
    pub(crate) fn overdue(
        &self,
        waited: impl Fn(&Waiter<I>) -> Duration,
        patience: Duration,
    ) -> Vec<Queued<I>> {
        let mut lanes = self.lanes();
        let lanes = &mut *lanes;
        let mut out = Vec::new();
        for lane in [&mut lanes.renewals, &mut lanes.others] {
            while lane.waiting.front().is_some_and(|queued| waited(&queued.waiter) >= patience) {
                out.extend(lane.pop());
            }
        }
        out
    }

    /// Takes out what peers passed on.
    pub(crate) fn take_from_peers(&self) -> Vec<Queued<I>> {
        let mut lanes = self.lanes();
        let mut out = Vec::new();
        lanes.renewals.take_from_peers(&mut out);
        lanes.others.take_from_peers(&mut out);
        out
    }

    /// Takes nothing more in, and hands out what waits.
    pub(crate) fn close(&self) -> Vec<Queued<I>> {
        let mut lanes = self.lanes();
        lanes.open = false;
        let lanes = &mut *lanes;
        let mut out = Vec::new();
        for lane in [&mut lanes.renewals, &mut lanes.others] {
            while let Some(queued) = lane.pop() {
                out.push(queued);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use leasehold_core::{Acquire, Renew};
    use leasehold_types::{FencingToken, Holder, LeaseTtl, RequestId, ResourceName, WaitLimit};

    use super::*;
    use crate::{Outcomes, Proposal};

    fn acquire(name: &str) -> Command {
        Command::Acquire(Acquire {
            resource: ResourceName::new(name).expect("a name"),
            holder: Holder::new("h").expect("a holder"),
            request: RequestId::from_bytes([1; 16]),
            ttl: LeaseTtl::MIN,
            wait: WaitLimit::NONE,
        })
    }

    fn renew(token: u64) -> Command {
        let tokens = FencingToken::new(token).into_iter().collect();
        Command::Renew(Renew { tokens, requests: Vec::new() })
    }

    fn queued(command: Command, origin: Origin, since: u64) -> Queued<u64> {
        Queued::new(command, origin, since, Duration::ZERO, Proposal::promised().0)
    }

    fn put(queue: &Queue<u64>, command: Command) -> Result<(), Fault> {
        queue.put(queued(command, Origin::Client, 0))
    }

    fn queue(commands: usize, batch: usize) -> Queue<u64> {
        Queue::new(Limits {
            queue_commands_max: commands,
            batch_commands_max: batch,
            ..Limits::default()
        })
    }

    fn commands(batch: &[Queued<u64>]) -> Vec<Command> {
        batch.iter().map(|queued| queued.command.clone()).collect()
    }

    #[test]
    fn a_full_lane_answers_at_once_and_the_other_lane_still_takes() {
        let queue = queue(2, 10);
        assert_eq!((put(&queue, acquire("a")), put(&queue, acquire("b"))), (Ok(()), Ok(())));
        assert_eq!(put(&queue, acquire("c")), Err(Fault::QueueFull { limit: 2 }));
        assert_eq!(put(&queue, renew(1)), Ok(()));
    }

    #[test]
    fn a_command_that_was_refused_is_not_answered_a_second_time() {
        let (queue, mut outcomes) = (queue(1, 10), Outcomes::new());
        for (number, taken) in [(1, Ok(())), (2, Err(Fault::QueueFull { limit: 1 }))] {
            let (command, reply) = (acquire("a"), outcomes.promise(number));
            let queued = Queued::new(command, Origin::Client, 0, Duration::ZERO, reply);
            assert_eq!(queue.put(queued), taken);
        }
        assert!(outcomes.next().now_or_never().is_none());
        drop(queue);
        assert_eq!(outcomes.next().now_or_never().map(|(number, _)| number), Some(1));
        assert!(outcomes.next().now_or_never().is_none());
    }

    #[test]
    fn renewals_go_first_but_leave_a_quarter_to_the_others() {
        let queue = queue(100, 4);
        for name in ["a", "b", "c"] {
            put(&queue, acquire(name)).expect("there is room");
        }
        for token in 1..=5 {
            put(&queue, renew(token)).expect("there is room");
        }
        assert_eq!(commands(&queue.take()), [renew(1), renew(2), renew(3), acquire("a")]);
        assert_eq!(commands(&queue.take()), [renew(4), renew(5), acquire("b"), acquire("c")]);
        assert!(queue.take().is_empty());
    }

    #[test]
    fn a_batch_is_bounded_by_bytes_but_never_empty() {
        let limits = Limits { batch_bytes_max: 200, ..Limits::default() };
        let queue = Queue::new(limits);
        put(&queue, acquire(&"x".repeat(250))).expect("there is room");
        for name in ["a", "b", "c"] {
            put(&queue, acquire(name)).expect("there is room");
        }
        assert_eq!(queue.take().len(), 1);
        assert_eq!(commands(&queue.take()), [acquire("a"), acquire("b"), acquire("c")]);
    }

    #[test]
    fn bytes_are_bounded_and_given_free_again() {
        let limits = Limits { queue_bytes_max: 200, ..Limits::default() };
        let queue = Queue::new(limits.clone());
        put(&queue, acquire(&"x".repeat(100))).expect("there is room");
        assert_eq!(put(&queue, acquire(&"y".repeat(100))), Err(Fault::QueueFull { limit: 200 }));
        let batch = queue.take();
        queue.give_back(batch);
        assert!(put(&queue, acquire(&"y".repeat(100))).is_err());
        assert_eq!(queue.take().len(), 1);
        assert_eq!(put(&queue, acquire(&"y".repeat(100))), Ok(()));
    }

    #[test]
    fn what_is_given_back_goes_first_again_and_in_order() {
        let queue = queue(100, 2);
        for name in ["a", "b", "c"] {
            put(&queue, acquire(name)).expect("there is room");
        }
        let batch = queue.take();
        queue.give_back(batch);
        assert_eq!(commands(&queue.take()), [acquire("a"), acquire("b")]);
    }

    #[test]
    fn what_waited_too_long_and_what_peers_sent_is_taken_out() {
        let queue = queue(100, 10);
        for (since, origin) in [(0, Origin::Client), (50, Origin::Peer), (90, Origin::Client)] {
            queue.put(queued(acquire("a"), origin, since)).expect("there is room");
        }
        let waited = |waiter: &Waiter<u64>| Duration::from_millis(100 - waiter.since);
        assert_eq!(queue.overdue(waited, Duration::from_millis(60)).len(), 1);
        assert_eq!(queue.take_from_peers().len(), 1);
        assert_eq!(queue.take().len(), 1);
    }

    #[test]
    fn a_closed_queue_hands_out_what_waits_and_takes_nothing() {
        let queue = queue(100, 10);
        put(&queue, renew(1)).expect("there is room");
        assert_eq!(queue.close().len(), 1);
        assert_eq!(put(&queue, renew(2)), Err(Fault::ShuttingDown));
    }
}
