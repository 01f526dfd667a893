//! Whether a system does what is going to be counted: one holder at a time, and the next when it lets
//! go. Asked before anything is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use leasehold_bench::Locks;
use leasehold_bench::locks::Ask;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const TTL: Duration = Duration::from_secs(10);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const CONTENDERS: usize = 8;
const TURNS: usize = 5;
const HOLD: Duration = Duration::from_millis(2);

/// What a way to a system offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offers {
    /// Whoever comes second can be told at once.
    pub(crate) refusals: bool,
    /// Whoever comes second can wait.
    pub(crate) line: bool,
    /// Locks are renewed.
    pub(crate) renewals: bool,
}

/// Tries it with the first links.
pub(crate) async fn verify<L: Locks>(links: &[L], offers: Offers) -> Result<(), String> {
    let asked = AtomicU64::new(1);
    if offers.refusals {
        refuses_the_second(links, &asked).await?;
    }
    if offers.renewals {
        renews(links, &asked).await?;
    }
    if offers.line {
        holds_one_at_a_time(links).await?;
    }
    Ok(())
}

fn ask(resource: &str, number: u64, wait: Duration) -> Ask {
    let request = Bytes::from(format!("verify-{number:09}").into_bytes());
    Ask { resource: resource.to_owned(), request, ttl: TTL, wait }
}

async fn refuses_the_second<L: Locks>(links: &[L], asked: &AtomicU64) -> Result<(), String> {
    let resource = "verify/refuses";
    let next = || ask(resource, asked.fetch_add(1, Ordering::Relaxed), Duration::ZERO);
    let (first, second) = (&links[0], &links[links.len() - 1]);
    for _ in 0..TURNS {
        let held = first.acquire(next()).await.map_err(|why| format!("nobody held it: {why:?}"))?;
        if second.acquire(next()).await.is_ok() {
            return Err("two hold the same resource".into());
        }
        let released = first.release(resource, held).await;
        released.map_err(|why| format!("it was held, and not released: {why:?}"))?;
    }
    Ok(())
}

async fn renews<L: Locks>(links: &[L], asked: &AtomicU64) -> Result<(), String> {
    let resource = "verify/renews";
    let claim = ask(resource, asked.fetch_add(1, Ordering::Relaxed), Duration::ZERO);
    let held = links[0].acquire(claim).await.map_err(|why| format!("nobody held it: {why:?}"))?;
    let renewed = links[0].renew(std::slice::from_ref(&held)).await;
    let renewed = renewed.map_err(|why| format!("it was held, and not renewed: {why:?}"))?;
    if (renewed.ok, renewed.lost) != (1, 0) {
        return Err(format!("it was held, and one renewal made {renewed:?}"));
    }
    let released = links[0].release(resource, held).await;
    released.map_err(|why| format!("it was held, and not released: {why:?}"))
}

async fn holds_one_at_a_time<L: Locks>(links: &[L]) -> Result<(), String> {
    let held = Arc::new(AtomicBool::new(false));
    let mut contenders = JoinSet::new();
    for contender in 0..CONTENDERS {
        let (link, held) = (links[contender % links.len()].clone(), Arc::clone(&held));
        contenders.spawn(async move {
            for turn in 0..TURNS {
                let number = 1_000_000 + contender * TURNS + turn;
                let claim = ask("verify/line", number as u64, PATIENCE);
                let granted = link.acquire(claim).await.map_err(|why| format!("{why:?}"))?;
                if held.swap(true, Ordering::SeqCst) {
                    return Err("two hold the same resource".to_owned());
                }
                // Long enough for anybody who must not hold it to say that it does.
                sleep(HOLD).await;
                held.store(false, Ordering::SeqCst);
                let released = link.release("verify/line", granted).await;
                released.map_err(|why| format!("it was held, and not released: {why:?}"))?;
            }
            Ok(())
        });
    }
    let all = timeout(PATIENCE, contenders.join_all()).await;
    all.map_err(|_| "the line does not move".to_owned())?.into_iter().collect()
}
