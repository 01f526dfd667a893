//! A session with a ZooKeeper server: the part of its protocol that locks take, over one connection.
//!
//! A client of our own, because the one that is kept up for Rust leaves Nagle's algorithm on, which
//! ZooKeeper's own clients turn off: a small request would wait for the answer to the one before it, and
//! the hand-over be measured of that. What several clients of the session ask at the same time is
//! written at once. Absent: reconnecting, authentication, all that locks do not take.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

/// How long the server waits for a sign of life before it deletes what is ephemeral.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(2);
/// Requests written at once.
const TOGETHER: usize = 1_024;

// Operations and reserved request numbers, as the protocol numbers them.
const CREATE: i32 = 1;
const DELETE: i32 = 2;
const GET_DATA: i32 = 4;
const GET_CHILDREN: i32 = 8;
const PING: i32 = 11;
const CLOSE: i32 = -11;
const PING_NUMBER: i32 = -2;
const EVENT_NUMBER: i32 = -1;
const ALL_PERMISSIONS: i32 = 31;

/// What the server answers in the place of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(i32);

/// There is no such node.
pub(crate) const NO_NODE: Code = Code(-101);
/// There is such a node already.
pub(crate) const NODE_EXISTS: Code = Code(-110);
/// The connection is gone.
pub(crate) const CONNECTION_LOSS: Code = Code(-4);

/// How a node is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Persistent = 0,
    /// Gone when its session is.
    Ephemeral = 1,
    /// The same, with a number behind its name that the server counts up.
    EphemeralSequential = 3,
}

type Answer = Result<Bytes, Code>;

/// Cheap to clone, for many clients.
#[derive(Clone)]
pub(crate) struct Session {
    outgoing: mpsc::UnboundedSender<Request>,
    shared: Arc<Shared>,
}

struct Request {
    number: i32,
    operation: i32,
    body: BytesMut,
    answer: Option<oneshot::Sender<Answer>>,
}

#[derive(Default)]
struct Shared {
    /// Requests under way: they are answered in their order.
    asked: Mutex<VecDeque<oneshot::Sender<Answer>>>,
    /// Who waits for the next change of a node.
    watches: Mutex<HashMap<String, oneshot::Sender<()>>>,
    /// Nodes that this session has seen to exist.
    known: Mutex<HashSet<String>>,
}

impl Session {
    /// Opens one with this server, `host:port`.
    pub(crate) async fn open(endpoint: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(endpoint).await?;
        stream.set_nodelay(true)?;
        let (mut reading, mut writing) = stream.into_split();
        let mut hello = BytesMut::new();
        hello.put_i32(0);
        hello.put_i64(0);
        hello.put_i32(i32::try_from(SESSION_TIMEOUT.as_millis()).unwrap_or(i32::MAX));
        hello.put_i64(0);
        put_bytes(&mut hello, &[0; 16]);
        hello.put_u8(0);
        writing.write_all(&frame(&hello)).await?;
        let mut welcome = read_frame(&mut reading, &mut BytesMut::new()).await?;
        // Protocol version and the timeout agreed on, which is zero where there is no session.
        if welcome.remaining() < 8 || welcome.get_i64() & i64::from(u32::MAX) == 0 {
            return Err(io::Error::other("the server opens no session"));
        }
        let (outgoing, requests) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(write(writing, requests, Arc::clone(&shared)));
        tokio::spawn(read(reading, Arc::clone(&shared)));
        Ok(Self { outgoing, shared })
    }

    /// Creates a node; its path is what is returned.
    pub(crate) async fn create(&self, path: &str, kind: Kind) -> Result<String, Code> {
        let mut body = BytesMut::with_capacity(path.len() + 64);
        put_bytes(&mut body, path.as_bytes());
        put_bytes(&mut body, b"");
        body.put_i32(1);
        body.put_i32(ALL_PERMISSIONS);
        put_bytes(&mut body, b"world");
        put_bytes(&mut body, b"anyone");
        body.put_i32(kind as i32);
        take_string(&mut self.ask(CREATE, body).await?)
    }

    /// Deletes a node.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Code> {
        let mut body = BytesMut::with_capacity(path.len() + 8);
        put_bytes(&mut body, path.as_bytes());
        // Whatever its version.
        body.put_i32(-1);
        self.ask(DELETE, body).await.map(drop)
    }

    /// The names of a node's children.
    pub(crate) async fn children(&self, path: &str) -> Result<Vec<String>, Code> {
        let mut answer = self.ask(GET_CHILDREN, asked_of(path, false)).await?;
        if answer.remaining() < 4 {
            return Err(CONNECTION_LOSS);
        }
        let count = answer.get_i32();
        (0..count).map(|_| take_string(&mut answer)).collect()
    }

    /// Completes when the node changes or is deleted; at once when it is not there.
    pub(crate) async fn changed(&self, path: &str) -> Result<(), Code> {
        let (change, changed) = oneshot::channel();
        // Before it is asked: the event may follow the answer at once.
        lock(&self.shared.watches).insert(path.to_owned(), change);
        match self.ask(GET_DATA, asked_of(path, true)).await {
            Ok(_) => changed.await.map_err(|_| CONNECTION_LOSS),
            Err(code) => {
                lock(&self.shared.watches).remove(path);
                if code == NO_NODE { Ok(()) } else { Err(code) }
            }
        }
    }

    /// Makes sure that a node is there, once for each session.
    pub(crate) async fn ensure(&self, path: &str) -> Result<(), Code> {
        if lock(&self.shared.known).contains(path) {
            return Ok(());
        }
        match self.create(path, Kind::Persistent).await {
            Ok(_) | Err(NODE_EXISTS) => {}
            Err(code) => return Err(code),
        }
        lock(&self.shared.known).insert(path.to_owned());
        Ok(())
    }

    /// Ends the session, and with it all its ephemeral nodes.
    pub(crate) async fn close(self) {
        let _ = self.ask(CLOSE, BytesMut::new()).await;
    }

    async fn ask(&self, operation: i32, body: BytesMut) -> Answer {
        let (answer, answered) = oneshot::channel();
        let request = Request { number: 0, operation, body, answer: Some(answer) };
        self.outgoing.send(request).map_err(|_| CONNECTION_LOSS)?;
        answered.await.map_err(|_| CONNECTION_LOSS)?
    }
}

/// Ends, and with it the connection, when nobody can ask any more.
async fn write(
    mut writing: OwnedWriteHalf,
    mut requests: mpsc::UnboundedReceiver<Request>,
    shared: Arc<Shared>,
) {
    let (mut number, mut together) = (0_i32, Vec::with_capacity(TOGETHER));
    let mut bytes = BytesMut::new();
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            count = requests.recv_many(&mut together, TOGETHER) => if count == 0 { return },
            _ = ping.tick() => together.push(Request {
                number: PING_NUMBER,
                operation: PING,
                body: BytesMut::new(),
                answer: None,
            }),
        }
        {
            let mut asked = lock(&shared.asked);
            for Request { number: reserved, operation, body, answer } in together.drain(..) {
                number = number.wrapping_add(1) & i32::MAX;
                bytes.put_i32(i32::try_from(8 + body.len()).unwrap_or(i32::MAX));
                bytes.put_i32(if reserved == 0 { number } else { reserved });
                bytes.put_i32(operation);
                bytes.put_slice(&body);
                asked.extend(answer);
            }
        }
        if writing.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
}

/// Ends when the connection does; then nobody waits for an answer any more.
async fn read(mut reading: OwnedReadHalf, shared: Arc<Shared>) {
    let mut buffer = BytesMut::with_capacity(1 << 16);
    while let Ok(mut answer) = read_frame(&mut reading, &mut buffer).await {
        if answer.remaining() < 16 {
            break;
        }
        let (number, _, code) = (answer.get_i32(), answer.get_i64(), answer.get_i32());
        match number {
            PING_NUMBER => {}
            EVENT_NUMBER => {
                // Kind of the event and state of the session.
                if answer.remaining() >= 8 {
                    answer.advance(8);
                }
                let Ok(path) = take_string(&mut answer) else { break };
                if let Some(change) = lock(&shared.watches).remove(&path) {
                    let _ = change.send(());
                }
            }
            _ => {
                let Some(asked) = lock(&shared.asked).pop_front() else { break };
                let _ = asked.send(if code == 0 { Ok(answer) } else { Err(Code(code)) });
            }
        }
    }
    lock(&shared.asked).clear();
    lock(&shared.watches).clear();
}

async fn read_frame(reading: &mut OwnedReadHalf, buffer: &mut BytesMut) -> io::Result<Bytes> {
    loop {
        if let Some(mut length) = buffer.get(..4) {
            let length = usize::try_from(length.get_i32()).map_err(io::Error::other)?;
            if buffer.len() >= 4 + length {
                buffer.advance(4);
                return Ok(buffer.split_to(length).freeze());
            }
        }
        buffer.reserve(1 << 16);
        if reading.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn frame(body: &[u8]) -> BytesMut {
    let mut framed = BytesMut::with_capacity(4 + body.len());
    put_bytes(&mut framed, body);
    framed
}

fn put_bytes(into: &mut BytesMut, bytes: &[u8]) {
    into.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    into.put_slice(bytes);
}

/// A node, and whether to be told of its next change.
fn asked_of(path: &str, watch: bool) -> BytesMut {
    let mut body = BytesMut::with_capacity(path.len() + 5);
    put_bytes(&mut body, path.as_bytes());
    body.put_u8(u8::from(watch));
    body
}

fn take_string(from: &mut Bytes) -> Result<String, Code> {
    if from.remaining() < 4 {
        return Err(CONNECTION_LOSS);
    }
    let length = usize::try_from(from.get_i32()).map_err(|_| CONNECTION_LOSS)?;
    if from.remaining() < length {
        return Err(CONNECTION_LOSS);
    }
    String::from_utf8(from.split_to(length).to_vec()).map_err(|_| CONNECTION_LOSS)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
