//! Redlock on independent Redis nodes, as its description has it: SET NX PX on all at once, held with a
//! majority of them for what is left of the ttl; released and renewed by scripts that look whether the
//! value is still the own one.
//!
//! Every operation is sent to all nodes and is done when a majority has answered. What the slower node
//! answers is not waited for, but it was sent, in order, so it does the same a little later.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use leasehold_bench::locks::{Ask, Failed, Locks, Renewed};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, RedisResult, Value};

/// Deletes what is still ours.
const RELEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
/// Renews what is still ours.
const RENEW: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then \
                     return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";
/// Commands that may wait to be written. No client waits for room, so that what it sends to several
/// nodes leaves at the same time.
const QUEUE: usize = 100_000;
/// What clocks may differ by, of the ttl, and on top of it, by the description.
const DRIFT: f64 = 0.01;
const DRIFT_AT_LEAST: Duration = Duration::from_millis(2);

/// A connection to each node. Shared by many clients.
#[derive(Clone)]
pub(crate) struct Redlock {
    nodes: Vec<MultiplexedConnection>,
    release: String,
    renew: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Held {
    resource: String,
    value: Bytes,
    ttl: Duration,
}

const HELD: Failed = Failed("HELD");
const TOO_LATE: Failed = Failed("TOO_LATE");
const NOT_HOLDER: Failed = Failed("NOT_HOLDER");

impl Redlock {
    /// Connects to every one of them, by `host:port`.
    pub(crate) async fn open(endpoints: &[String]) -> RedisResult<Self> {
        let config =
            AsyncConnectionConfig::new().set_pipeline_buffer_size(QUEUE).set_response_timeout(None);
        let mut nodes = Vec::new();
        let (mut release, mut renew) = (String::new(), String::new());
        for endpoint in endpoints {
            let settings = TcpSettings::default().set_nodelay(true);
            let address = format!("redis://{endpoint}/").into_connection_info()?;
            let client = Client::open(address.set_tcp_settings(settings))?;
            let mut node = client.get_multiplexed_async_connection_with_config(&config).await?;
            let mut load = async |script: &str| -> RedisResult<String> {
                redis::cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut node).await
            };
            release = load(RELEASE).await?;
            renew = load(RENEW).await?;
            nodes.push(node);
        }
        Ok(Self { nodes, release, renew })
    }

    /// Sends it to all, and says whether a majority did it. An error is a node that did not.
    async fn majority(&self, command: &Cmd, done: impl Fn(&Value) -> bool) -> bool {
        let majority = self.nodes.len() / 2 + 1;
        let mut asked: FuturesUnordered<_> = self
            .nodes
            .iter()
            .map(|node| {
                let mut node = node.clone();
                async move { node.send_packed_command(command).await }
            })
            .collect();
        let (mut did, mut did_not) = (0, 0);
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(value) if done(&value) => did += 1,
                _ => did_not += 1,
            }
            if did == majority {
                return true;
            }
            if did_not > self.nodes.len() - majority {
                return false;
            }
        }
        false
    }

    async fn delete(&self, resource: &str, value: &Bytes) -> bool {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.release).arg(1).arg(resource).arg(&value[..]);
        self.majority(&command, |answer| *answer == Value::Int(1)).await
    }
}

impl Locks for Redlock {
    type Held = Held;

    async fn acquire(&self, ask: Ask) -> Result<Held, Failed> {
        let Ask { resource, request: value, ttl, .. } = ask;
        let began = Instant::now();
        let mut command = redis::cmd("SET");
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        command.arg(&resource).arg(&value[..]).arg("NX").arg("PX").arg(milliseconds);
        let granted = self.majority(&command, |answer| *answer == Value::Okay).await;
        let drift = ttl.mul_f64(DRIFT) + DRIFT_AT_LEAST;
        let in_time = began.elapsed() + drift < ttl;
        if granted && in_time {
            return Ok(Held { resource, value, ttl });
        }
        // Whatever the nodes have of it is taken back.
        self.delete(&resource, &value).await;
        Err(if granted { TOO_LATE } else { HELD })
    }

    async fn renew(&self, held: &[Held]) -> Result<Renewed, Failed> {
        let mut renewed = Renewed { ok: 0, lost: 0, valid_for: Duration::MAX };
        for Held { resource, value, ttl } in held {
            let mut command = redis::cmd("EVALSHA");
            let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            command.arg(&self.renew).arg(1).arg(resource).arg(&value[..]).arg(milliseconds);
            let ok = self.majority(&command, |answer| *answer == Value::Int(1)).await;
            renewed.ok += u64::from(ok);
            renewed.lost += u64::from(!ok);
            renewed.valid_for = renewed.valid_for.min(*ttl);
        }
        Ok(renewed)
    }

    async fn release(&self, resource: &str, held: Held) -> Result<(), Failed> {
        if self.delete(resource, &held.value).await { Ok(()) } else { Err(NOT_HOLDER) }
    }
}
