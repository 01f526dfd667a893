//! The configurations that `check` exhausts, and the small ones that every test run does.

use crate::config::{Config, GrantAnswer, Log, StoreConfig, TICK_MS, Wait};

/// What `check` runs. Together more than ten million states.
pub fn configurations() -> Vec<Config> {
    vec![]
}

/// What every test run exhausts: between them they show everything that should be possible.
pub fn small_configurations() -> Vec<Config> {
    vec![
        quick("try", "two clients try, cancel and release", |config| {
            config.cancels = true;
            config.releases = true;
        }),
        quick("wait", "a queue, with grants in open calls", |config| {
            config.wait = Wait::Always;
            config.wait_ms = 2 * TICK_MS;
            config.grants = GrantAnswer::OpenCall;
        }),
        quick("heal", "a queue with pushes: from every state a fair schedule ends all", |config| {
            config.wait = Wait::Always;
            config.releases = true;
            config.heals = true;
        }),
        quick("batch", "batches stamped when closed, by a leader that freezes", |config| {
            config.log = Log::Split { batch: 2 };
            config.freezes = true;
            config.elections = 1;
            config.cap_ms = TICK_MS;
            config.clients = 1;
        }),
        quick("store", "writes that come twice, and a store that crashes", |config| {
            config.store = Some(StoreConfig { writes: 2, crashes: 1 });
            config.copies = 1;
            config.clients = 1;
        }),
        quick("stale", "a writer that slept too long", |config| {
            config.store = Some(StoreConfig { writes: 1, crashes: 0 });
        }),
        quick("drift", "clocks at the edge of what is allowed", |config| {
            *config = config.clone().with_drift();
            config.clients = 1;
            config.elections = 1;
        }),
        quick("bound", "how long a dead holder lasts over two changes of leader", |config| {
            config.bound = true;
            config.elections = 2;
            config.clients = 1;
            config.client_crashes = 1;
        }),
    ]
}

/// Short leases, one attempt per id at a time, and short memories.
fn quick(name: &'static str, about: &'static str, change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::new(name, about);
    config.ttl_ms = 2 * TICK_MS;
    config.wait_ms = 3 * TICK_MS;
    config.memory_ms = 3 * TICK_MS;
    config.retry_life = 0;
    change(&mut config);
    config
}
