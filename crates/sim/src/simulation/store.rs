//! A fenced store: the real rule and the real record stream over a disk that loses power.
//!
//! One record holds everything about a resource: mark, value, and the token it was written under; so
//! they change together or not at all. It is durable before the answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leasehold_disk::{Disk, DiskId, RecordRef, RecordStream, StreamOptions};
use leasehold_fence::{Admitted, Mark, Stale};
use leasehold_types::{FencingToken, ResourceName};
use tokio::sync::oneshot;

use super::network::{Network, Place};
use super::plan::Plant;
use super::process::{self, Pid};
use super::seen::{Reporter, Seen, StoredSeen};

/// What is asked of the store.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) write: u64,
    pub(crate) resource: ResourceName,
    pub(crate) token: FencingToken,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// Reads, in order to write: raises the mark.
    Read,
    /// Writes, as the holder's `sequence`-th.
    Put { sequence: u64, value: u64 },
}

/// The value as it stands, or the refusal.
pub(crate) type Answer = Result<u64, Stale>;

/// A request and whoever waits for its answer.
pub(crate) struct Knock {
    pub(crate) request: Request,
    pub(crate) asker: oneshot::Sender<Answer>,
    pub(crate) client: u64,
}

pub(crate) struct Boot {
    pub(crate) pid: Pid,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) network: Network,
    pub(crate) reporter: Reporter,
    pub(crate) sync: Duration,
    pub(crate) plant: Option<Plant>,
}

struct Store {
    contents: BTreeMap<ResourceName, StoredSeen>,
    stream: RecordStream,
    /// Only under a planted bug: answered, not yet written.
    unwritten: Vec<(ResourceName, StoredSeen)>,
    plant: Option<Plant>,
}

const NOTHING: StoredSeen =
    StoredSeen { mark: Mark::NONE, written_under: None, value: 0, write: 0 };
const KIND: u8 = 1;

/// The life of the store's process. Ends with its first fault.
pub(crate) async fn run(boot: Boot) {
    let Boot { pid, disk, network, reporter, sync, plant } = boot;
    let mut store = match Store::open(disk, plant) {
        Ok(store) => store,
        Err(why) => return reporter.say(Seen::StoreFailed { why }),
    };
    let contents = store.contents.iter().map(|(name, held)| (name.clone(), held.clone()));
    reporter.say(Seen::StoreOpened { contents: contents.collect() });
    let mut knocks = network.listen(Place::Store, pid);
    while let Some(knock) = knocks.recv().await {
        let Ok(knock) = knock.downcast::<Knock>() else { continue };
        let Knock { request, asker, client } = *knock;
        let answer = match store.take(&request) {
            Ok((answer, changed)) => {
                if let Some(stored) = changed {
                    let put = matches!(request.what, What::Put { .. });
                    let resource = request.resource.clone();
                    reporter.say(Seen::Stored { resource, stored, put });
                }
                answer
            }
            Err(why) => return reporter.say(Seen::StoreFailed { why }),
        };
        process::sleep(sync).await;
        network.reply(Place::Store, Place::Client(client), asker, answer);
    }
}

impl Store {
    fn open(disk: Arc<dyn Disk>, plant: Option<Plant>) -> Result<Self, String> {
        let options = StreamOptions {
            segment_bytes: 16 << 10,
            step_bytes: 8 << 10,
            ..StreamOptions::new(DiskId([77; 16]))
        };
        let (stream, records, _) =
            RecordStream::open(disk, options).map_err(|error| error.to_string())?;
        let mut contents = BTreeMap::new();
        for record in records {
            let (resource, mut held) =
                decode(&record.payload).ok_or("a record of the store does not parse")?;
            if plant == Some(Plant::StoreForgetsMarks) {
                held.mark = Mark::NONE;
            }
            contents.insert(resource, held);
        }
        Ok(Self { contents, stream, unwritten: Vec::new(), plant })
    }

    /// The answer, and what is new on the disk.
    fn take(&mut self, request: &Request) -> Result<(Answer, Option<StoredSeen>), String> {
        let Request { write, resource, token, what } = request;
        let held = self.contents.get(resource).cloned().unwrap_or(NOTHING);
        let next = match what {
            What::Read => match held.mark.raise(*token) {
                Err(stale) if self.plant != Some(Plant::StoreTakesAnyToken) => {
                    return Ok((Err(stale), None));
                }
                Ok(mark) if self.plant != Some(Plant::StoreReadsRaiseNothing) => {
                    StoredSeen { mark, ..held.clone() }
                }
                _ => held.clone(),
            },
            What::Put { sequence, value } => match self.admit(held.mark, *token, *sequence) {
                Err(_) if self.plant == Some(Plant::StoreSaysYesToStale) => {
                    return Ok((Ok(held.value), None));
                }
                Err(stale) => return Ok((Err(stale), None)),
                Ok(Admitted::Repeat) => return Ok((Ok(held.value), None)),
                Ok(Admitted::Accept(mark)) => {
                    let written_under = match self.plant {
                        Some(Plant::StoreKeepsAnotherToken) => held.written_under.or(Some(*token)),
                        _ => Some(*token),
                    };
                    StoredSeen { mark, written_under, value: *value, write: *write }
                }
            },
        };
        if next != held {
            self.write(resource, &next)?;
            self.contents.insert(resource.clone(), next.clone());
            return Ok((Ok(next.value), Some(next)));
        }
        Ok((Ok(held.value), None))
    }

    fn admit(&self, mark: Mark, token: FencingToken, sequence: u64) -> Result<Admitted, Stale> {
        match self.plant {
            Some(Plant::StoreTakesAnyToken) => Ok(Admitted::Accept(Mark::new(token, sequence))),
            Some(Plant::StoreTakesAnySequence) => mark.admit(token, 0),
            _ => mark.admit(token, sequence),
        }
    }

    /// Durable on return; unless a bug is planted.
    fn write(&mut self, resource: &ResourceName, held: &StoredSeen) -> Result<(), String> {
        self.unwritten.push((resource.clone(), held.clone()));
        if self.plant == Some(Plant::StoreAnswersBeforeSync) && self.unwritten.len() < 5 {
            return Ok(());
        }
        for (resource, held) in std::mem::take(&mut self.unwritten) {
            let payload = encode(&resource, &held);
            // What is carried into a new segment is what counts; older ones could then go.
            let summary = || Vec::new();
            let record = RecordRef { kind: KIND, payload: &payload };
            self.stream
                .append_group(&[record], summary, false)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn encode(resource: &ResourceName, held: &StoredSeen) -> Vec<u8> {
    let (token, sequence) = held.mark.to_parts();
    let written_under = held.written_under.map_or(0, FencingToken::get);
    let numbers = [token, sequence, written_under, held.value, held.write];
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.extend_from_slice(resource.as_str().as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<(ResourceName, StoredSeen)> {
    let number = |at: usize| {
        let bytes = bytes.get(at * 8..at * 8 + 8)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    };
    let name = std::str::from_utf8(bytes.get(40..)?).ok()?;
    let held = StoredSeen {
        mark: Mark::from_parts(number(0)?, number(1)?)?,
        written_under: FencingToken::new(number(2)?),
        value: number(3)?,
        write: number(4)?,
    };
    Some((ResourceName::new(name).ok()?, held))
}
