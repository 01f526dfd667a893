//! Watches, against one real node.

mod common;

use common::*;
use leasehold_api::Problem;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_types::WatchRefusal;
use tonic::{Status, Streaming};

type Watch = Streaming<pb::WatchResponse>;

async fn watch(
    client: &mut Lease,
    prefix: &str,
    after: Option<u64>,
) -> Result<(Watch, u64), Status> {
    let request = pb::WatchRequest { prefix: prefix.into(), after_revision: after };
    let mut stream = within(client.watch(request)).await?.into_inner();
    let first = within(stream.message()).await?.expect("a first message");
    assert_eq!(first.events, []);
    Ok((stream, first.revision))
}

/// The next events, passing over messages that only tell how far the watch has come.
async fn events(stream: &mut Watch) -> Result<pb::WatchResponse, Status> {
    loop {
        let message = within(stream.message()).await?.expect("a watch does not end by itself");
        if !message.events.is_empty() {
            return Ok(message);
        }
    }
}

async fn collect(stream: &mut Watch, count: usize) -> Vec<pb::Event> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(events(stream).await.expect("events").events);
    }
    seen
}

fn kinds(events: &[pb::Event]) -> Vec<pb::EventKind> {
    events.iter().map(pb::Event::kind).collect()
}

#[tokio::test]
async fn a_watch_from_now_sees_everything_that_happens_to_its_prefix_in_order() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    granted(&mut client, acquire_long("a/before")).await;
    let (mut stream, start) = watch(&mut client, "a/", None).await.expect("watching");

    granted(&mut client, acquire_long("b")).await;
    let held = granted(&mut client, acquire_long("a/1")).await;
    let mut other = cluster.lease(0);
    let waiting = tokio::spawn(async move { granted(&mut other, acquire_waiting("a/1")).await });
    queue_is(&client, "a/1", 1).await;
    release(&mut client, &held).await;
    let next = within(waiting).await.expect("granted");

    let seen = collect(&mut stream, 5).await;
    use pb::EventKind::{Expired, Granted, Queued, Released};
    assert_eq!(kinds(&seen[..4]), [Granted, Queued, Released, Granted]);
    // Nobody renews the second holder.
    assert_eq!((seen[4].kind(), seen[4].token), (Expired, next.token));
    assert!(seen.iter().all(|event| event.resource == "a/1" && event.revision > start));
    assert!(seen.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    assert_eq!((seen[2].token, seen[3].token), (held.token, next.token));
}

#[tokio::test]
async fn a_watch_resumes_between_two_events_of_one_batch() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let (mut stream, start) = watch(&mut client, "", None).await.expect("watching");
    let held = granted(&mut client, acquire_long("r")).await;
    let mut other = cluster.lease(0);
    let waiting = tokio::spawn(async move { granted(&mut other, acquire_waiting("r")).await });
    queue_is(&client, "r", 1).await;
    // One command, two events: the end of one lease and the grant of the next.
    release(&mut client, &held).await;
    within(waiting).await.expect("granted");
    let whole = collect(&mut stream, 4).await;

    for cut in 0..4 {
        let after = if cut == 0 { start } else { whole[cut - 1].revision };
        let (mut resumed, from) = watch(&mut client, "", Some(after)).await.expect("resumed");
        assert_eq!(from, after);
        assert_eq!(collect(&mut resumed, 4 - cut).await[..4 - cut], whole[cut..4]);
    }
}

#[tokio::test]
async fn a_watch_to_which_nothing_happens_is_told_how_far_it_has_come() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let (mut stream, start) = watch(&mut client, "nothing/", None).await.expect("watching");
    granted(&mut client, acquire_long("r")).await;
    let progress = within(stream.message()).await.expect("a message").expect("no end");
    assert_eq!(progress.events, []);
    assert!(progress.revision > start);
    assert!(watch(&mut client, "", Some(progress.revision)).await.is_ok());
}

#[tokio::test]
async fn what_is_not_retained_is_refused_with_the_oldest_that_is() {
    let cluster = Cluster::start_with(1, "events_retained_max = 2").await;
    let mut client = cluster.lease(0);
    let (mut slow, start) = watch(&mut client, "", None).await.expect("watching");
    for name in ["a", "b", "c", "d", "e"] {
        granted(&mut client, acquire_long(name)).await;
    }
    let refused = watch(&mut client, "", Some(start)).await.expect_err("forgotten");
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
    let Problem::Watch(WatchRefusal::NotRetained { asked, oldest }) = problem(&refused) else {
        panic!("{refused:?}")
    };
    assert!(asked == start && oldest > start);
    let (mut resumed, _) = watch(&mut client, "", Some(oldest)).await.expect("the oldest there is");
    let resources: Vec<_> =
        collect(&mut resumed, 2).await.into_iter().map(|event| event.resource).collect();
    assert_eq!(resources, ["d", "e"]);
    // The open one is either through already or told the same; it is never left with a gap.
    let mut seen = Vec::new();
    while seen.len() < 5 {
        match events(&mut slow).await {
            Ok(message) => seen.extend(message.events.into_iter().map(|event| event.resource)),
            Err(status) => {
                assert_eq!(reason(&status), "REVISION_NOT_RETAINED");
                break;
            }
        }
    }
    assert!(
        ["a", "b", "c", "d", "e"].starts_with(&seen.iter().map(String::as_str).collect::<Vec<_>>())
    );
}

#[tokio::test]
async fn a_restart_of_every_node_loses_no_event_that_is_still_in_the_log() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.settled().await;
    let mut client = cluster.lease(leader);
    for name in ["a", "b", "c"] {
        granted(&mut client, acquire_long(name)).await;
    }
    let (mut stream, _) = watch(&mut client, "", Some(0)).await.expect("from the beginning");
    let whole = collect(&mut stream, 3).await;
    drop(stream);
    // Stamps raise the revision, without an event.
    let (_, later) = watch(&mut client, "", None).await.expect("watching");

    for at in 0..3 {
        cluster.stop(at).await.expect("an orderly end");
    }
    cluster.restart_all().await;
    for at in 0..3 {
        let mut client = cluster.lease(at);
        for (seen, after) in [(0, 0), (1, whole[0].revision), (2, whole[1].revision)] {
            let (mut resumed, _) = watch(&mut client, "", Some(after)).await.expect("resumed");
            assert_eq!(collect(&mut resumed, 3 - seen).await, whole[seen..], "node {}", at + 1);
        }
        for after in [whole[2].revision, later] {
            watch(&mut client, "", Some(after)).await.expect("nothing lies between");
        }
    }
}

#[tokio::test]
async fn watches_are_bounded_and_the_end_of_one_makes_room() {
    let cluster = Cluster::start_with(1, "watches_max = 1").await;
    let mut client = cluster.lease(0);
    let (stream, _) = watch(&mut client, "", None).await.expect("watching");
    assert_eq!(reason(&watch(&mut client, "", None).await.expect_err("full")), "QUEUE_FULL");
    drop(stream);
    eventually("there is room", async || watch(&mut client.clone(), "", None).await.ok()).await;
}
