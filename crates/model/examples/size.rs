#![allow(missing_docs)]
use leasehold_model::*;
fn main() {
    let mut c = Config::new("x", "");
    let a: Vec<String> = std::env::args().collect();
    for o in &a[1..] {
        match o.as_str() {
            "wait" => c.wait = Wait::Always,
            "either" => c.wait = Wait::Either,
            "m2" => c.messages = 2,
            "c2" => c.claims = 2,
            "n3" => c.clients = 3,
            "call" => c.grants = GrantAnswer::OpenCall,
            "split" => c.log = Log::Split { batch: 1 },
            "batch" => c.log = Log::Split { batch: 2 },
            "e1" => c.elections = 1,
            "e2" => c.elections = 2,
            "e3" => c.elections = 3,
            "freeze" => {
                c.freezes = true;
                c.cap_ms = 1000
            }
            "crash" => c.client_crashes = 1,
            "copy" => c.copies = 1,
            "cancel" => c.cancels = true,
            "release" => c.releases = true,
            "store" => c.store = Some(StoreConfig { writes: 1, crashes: 0 }),
            "store2" => c.store = Some(StoreConfig { writes: 2, crashes: 0 }),
            "storec" => c.store = Some(StoreConfig { writes: 1, crashes: 1 }),
            "drift" => c = c.with_drift(),
            "bound" => c.bound = true,
            "heal" => c.heals = true,
            "ttl2" => {
                c.ttl_ms = 2000;
                c.wait_ms = 3000
            }
            "noretry" => {
                c.retry_life = 0;
                c.memory_ms = 3000;
            }
            "short" => {
                c.retry_life = 0;
                c.memory_ms = 2000;
                c.acquire_life = 1
            }
            _ => panic!("{o}"),
        }
    }
    let f = search(c, &Limits { threads: 1, states: 8_000_000 });
    println!(
        "{:?} states {} steps {} depth {} {:.1}s complete {} {:.0}/s",
        &a[1..],
        f.states,
        f.steps,
        f.depth,
        f.took.as_secs_f64(),
        f.is_complete,
        f.states as f64 / f.took.as_secs_f64()
    );
    for (n, s) in &f.broken {
        println!("BROKEN {n} {}\n{s}", s.len());
    }
}
