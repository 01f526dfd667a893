//! The configurations that `check` exhausts, and the small ones that every test run does.

use crate::config::{Config, GrantAnswer, Log, StoreConfig, TICK_MS, Wait};

/// What `check` runs. Together more than ten million states.
pub fn configurations() -> Vec<Config> {
    [whole_ttl(), log(), clients(), store()].concat()
}

/// A ttl of three steps, repeated attempts, remembered ids: the protocol itself.
fn whole_ttl() -> Vec<Config> {
    vec![
        with("try", "no queue: try, repeat, cancel, release", |config| {
            config.cancels = true;
            config.releases = true;
        }),
        with("queue", "a queue, and a change of leader", |config| {
            config.wait = Wait::Always;
            config.elections = 1;
            config.releases = true;
        }),
        with("drift", "clocks at the edge of what is allowed, where 6 ms decide", |config| {
            *config = config.clone().with_drift();
        }),
    ]
}

/// What a leader and its log can do.
fn log() -> Vec<Config> {
    vec![
        with("split", "proposed and committed apart, and lost or kept by a new leader", |config| {
            brief(config);
            one_moment(config);
            config.log = Log::Split { batch: 1 };
            config.elections = 1;
        }),
        with("bound", "L2: a queue with a crash and a change of leader", |config| {
            brief(config);
            one_moment(config);
            config.wait = Wait::Always;
            config.bound = true;
            config.client_crashes = 1;
            config.elections = 1;
        }),
        with("freeze", "a leader frozen for any time, then deposed", |config| {
            brief(config);
            config.freezes = true;
            config.cap_ms = TICK_MS;
            config.elections = 1;
        }),
    ]
}

/// What clients can do.
fn clients() -> Vec<Config> {
    vec![
        with("repeat", "attempts of one id beside each other", |config| {
            brief(config);
            one_moment(config);
            config.messages = 2;
        }),
        with("mixed", "some wait, some do not, some cancel", |config| {
            brief(config);
            one_moment(config);
            config.wait = Wait::Either;
            config.cancels = true;
        }),
        with("three", "three clients without a queue", |config| {
            brief(config);
            short_memory(config);
            config.clients = 3;
        }),
        with("again", "two claims of each client, one after the other", |config| {
            brief(config);
            short_memory(config);
            config.claims = 2;
            config.releases = true;
        }),
        with("heal", "a queue: from every state a fair schedule ends every claim", |config| {
            brief(config);
            config.wait = Wait::Always;
            config.releases = true;
            config.heals = true;
        }),
    ]
}

/// What can happen on the way to the fenced store, and in it.
fn store() -> Vec<Config> {
    let stored = |config: &mut Config, writes, crashes| {
        brief(config);
        config.store = Some(StoreConfig { writes, crashes });
    };
    vec![
        with("store", "writers that sleep between check and write, and a change of leader", |c| {
            stored(c, 1, 0);
            c.elections = 1;
        }),
        with("store-copies", "two writes each, and messages and writes that come twice", |c| {
            stored(c, 2, 0);
            short_memory(c);
            c.copies = 1;
        }),
        with("store-crashes", "a store that crashes before or after its sync", |c| {
            stored(c, 1, 1);
        }),
    ]
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

fn with(name: &'static str, about: &'static str, change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::new(name, about);
    change(&mut config);
    config
}

/// Short leases, one attempt per id at a time, and short memories.
fn quick(name: &'static str, about: &'static str, change: impl FnOnce(&mut Config)) -> Config {
    with(name, about, |config| {
        brief(config);
        one_moment(config);
        change(config);
    })
}

/// A ttl of two steps.
fn brief(config: &mut Config) {
    config.ttl_ms = 2 * TICK_MS;
    config.wait_ms = 3 * TICK_MS;
}

/// All attempts of one id are sent at one moment, and ids are remembered for longer than those last.
fn one_moment(config: &mut Config) {
    config.retry_life = 0;
    config.memory_ms = 3 * TICK_MS;
}

/// Attempts last less than two steps of time as well.
fn short_memory(config: &mut Config) {
    config.retry_life = 0;
    config.memory_ms = 2 * TICK_MS;
    config.acquire_life = 1;
}
