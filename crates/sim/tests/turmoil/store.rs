//! The fenced store across a network that loses replies, and clients that write too late.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use leasehold_client::{LostReason, Mutation, StoreClient, StoreError};

use crate::hosts::{NODES, STORE};
use crate::lab::World;

async fn value(store: &StoreClient, resource: &str, key: &str) -> String {
    let entry = store.get(resource, key, None).await.expect("the store answers").entry;
    entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned()).unwrap_or_default()
}

#[test]
fn a_write_whose_reply_is_lost_is_repeated_and_applied_once() {
    let mut world = World::new(31);
    world.story("writer", async move |lab| {
        let lease = lab.client("writer", &NODES).acquire("r").await.expect("granted");
        let fenced = lab.store().fenced(&lease);
        fenced.append("log", "a").await.expect("accepted");
        lab.cut_one_way(STORE, "writer");
        let answered = Rc::new(Cell::new(false));
        let lost = async {
            let written = fenced.append("log", "b").await;
            answered.set(true);
            written
        };
        let heal = async {
            lab.hear("seen by another").await;
            let hits = lab.hits();
            lab.until("repeated", async || lab.hits() > hits + 2).await;
            assert!(!answered.get());
            lab.mend(STORE, "writer");
        };
        let (written, ()) = tokio::join!(lost, heal);
        let written = written.expect("accepted");
        assert_eq!((written.mark.sequence, written.revision), (2, 2));
        assert_eq!(value(&lab.store(), "r", "log").await, "ab");
        assert_eq!(lab.store().status().await.expect("answers").revision, 2, "applied once");
    });
    world.story("reader", async move |lab| {
        let store = lab.store();
        lab.until("the write", async || value(&store, "r", "log").await == "ab").await;
        lab.say("seen by another");
    });
    world.run();
}

#[test]
fn a_write_of_a_holder_that_was_cut_off_is_refused_once_another_has_written() {
    let mut world = World::new(32);
    world.story("first", async move |lab| {
        let lease = lab.client("first", &NODES).acquire("r").await.expect("granted");
        let (token, store) = (lease.token(), lab.store());
        store.fenced(&lease).put("k", "first").await.expect("accepted");
        NODES.iter().for_each(|node| lab.cut("first", node));
        lab.say("cut off");
        assert_eq!(lease.lost().await, LostReason::BoundPassed);
        let late = store.fenced(&lease).put("k", "by the library").await;
        assert!(matches!(late, Err(StoreError::Lost(_))), "{late:?}");
        lab.hear("written by another").await;
        // Without the library's own check, as of a process that was stopped just behind it.
        let late = store.write_with("r", token, 2, vec![Mutation::put("k", "too late")]).await;
        let Err(StoreError::StaleToken { mark_token, .. }) = late else { panic!("{late:?}") };
        assert!(mark_token > token.get());
        assert_eq!(value(&store, "r", "k").await, "second");
        assert!(store.status().await.expect("answers").stale_refused > 0);
    });
    world.story("second", async move |lab| {
        lab.hear("cut off").await;
        let wait = Duration::from_secs(90);
        let client = lab.client("second", &NODES);
        let lease = client.acquire("r").wait(wait).await.expect("granted");
        lab.store().fenced(&lease).put("k", "second").await.expect("accepted");
        lab.say("written by another");
        lease.release().await.expect("a majority answers");
    });
    let ended = world.run();
    assert!(ended.hits > 0, "something met the cut");
}

#[test]
fn writes_are_applied_once_each_over_a_store_that_crashes_again_and_again() {
    let mut world = World::new(33);
    world.story("writer", async move |lab| {
        let lease = lab.client("writer", &NODES).acquire("r").await.expect("granted");
        let fenced = lab.store().fenced(&lease);
        let mut expected = String::new();
        for n in 0..30 {
            let letter = char::from(b'a' + n % 26);
            let crash = async {
                if n % 5 == 4 {
                    lab.pause(Duration::from_millis(40)).await;
                    lab.crash(STORE).await;
                    lab.bounce(STORE).await;
                }
            };
            let (written, ()) = tokio::join!(fenced.append("log", letter.to_string()), crash);
            written.expect("accepted");
            expected.push(letter);
        }
        assert_eq!(value(&lab.store(), "r", "log").await, expected);
    });
    assert_eq!(world.run().crashes, 6);
}
