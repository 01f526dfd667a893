//! Room in front of the writer: how many requests may be under way, and how many bytes of them.
//!
//! Single calls and streams have a lane each, so that neither can fill the whole queue: a stream waits
//! for room and so is always there first, a call that finds none is told so at once.

use std::sync::Arc;

use leasehold_types::Fault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one lane's requests that may be under way, in KiB.
const KIB_MAX: usize = 32 << 10;

/// One lane.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    requests_max: usize,
    requests: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// Room for one request, given back when it is answered.
#[derive(Debug)]
pub(crate) struct Room {
    _request: OwnedSemaphorePermit,
    _kib: OwnedSemaphorePermit,
}

impl Lane {
    pub(crate) fn new(requests_max: usize) -> Self {
        let requests = Arc::new(Semaphore::new(requests_max));
        Self { requests_max, requests, kib: Arc::new(Semaphore::new(KIB_MAX)) }
    }

    /// Takes room for a request of this size, or says at once that there is none.
    pub(crate) fn try_enter(&self, bytes: usize) -> Result<Room, Fault> {
        let full = |_| Fault::QueueFull { limit: self.requests_max as u64 };
        let request = self.requests.clone().try_acquire_owned().map_err(full)?;
        let kib = self.kib.clone().try_acquire_many_owned(kib(bytes)).map_err(full)?;
        Ok(Room { _request: request, _kib: kib })
    }

    /// Takes room for a request of this size, waiting for it. Whoever asks first is first.
    pub(crate) async fn enter(&self, bytes: usize) -> Room {
        const OPEN: &str = "a lane's semaphores are never closed";
        let request = self.requests.clone().acquire_owned().await.expect(OPEN);
        let kib = self.kib.clone().acquire_many_owned(kib(bytes)).await.expect(OPEN);
        Room { _request: request, _kib: kib }
    }
}

/// Rounded up, so that nothing is free of charge.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_bounded_in_requests_and_in_bytes() {
        let lane = Lane::new(2);
        let full = Fault::QueueFull { limit: 2 };
        let first = lane.try_enter(0).expect("is empty");
        let second = lane.try_enter(0).expect("has room for two");
        assert_eq!(lane.try_enter(0).expect_err("has no room for three"), full);
        drop((first, second));
        let large = lane.try_enter(KIB_MAX * 1_024 - 1).expect("just fits");
        assert_eq!(lane.try_enter(0).expect_err("has no bytes left"), full);
        drop(large);
        lane.try_enter(0).expect("is empty again");
    }

    #[tokio::test]
    async fn whoever_waits_for_room_gets_it_when_it_is_given_back() {
        let lane = Lane::new(1);
        let room = lane.try_enter(0).expect("is empty");
        let mut waiting = tokio::spawn({
            let lane = lane.clone();
            async move { lane.enter(0).await }
        });
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there is no room yet"),
            () = tokio::task::yield_now() => drop(room),
        }
        waiting.await.expect("gets its room");
    }
}
