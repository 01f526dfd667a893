//! ZooKeeper.
//!
//! A lock that nobody else wants is an ephemeral node, created and deleted: whoever comes second is told
//! that it exists. One that many want is the recipe of its documentation, which Curator follows: an
//! ephemeral node with the next number among the lock's children; whose number is the smallest holds;
//! everybody else watches the one before it, and looks again when that has gone.
//!
//! Clients share sessions. A session is one connection on which requests are pipelined, so few sessions
//! with many clients take fewer system calls than one for each. There is nothing to renew: a session
//! lives by its pings.

mod session;

use std::io;

use leasehold_bench::locks::{Ask, Failed, Locks, Renewed};

use session::{CONNECTION_LOSS, Code, Kind, NO_NODE, NODE_EXISTS, Session};

const PARENT: &str = "/leasehold-bench";
/// Digits of a sequential node's number.
const DIGITS: usize = 10;

/// One client's way to its session.
#[derive(Clone)]
pub(crate) struct ZooKeeper {
    session: Session,
}

impl From<Code> for Failed {
    fn from(code: Code) -> Self {
        Self(match code {
            NODE_EXISTS => "HELD",
            NO_NODE => "NOT_HOLDER",
            CONNECTION_LOSS => "CONNECTION_LOSS",
            _ => "ZOOKEEPER_ERROR",
        })
    }
}

impl ZooKeeper {
    /// That many sessions, the one after the other to the endpoints in turn.
    pub(crate) async fn open(endpoints: &[String], sessions: usize) -> io::Result<Vec<Self>> {
        let mut links = Vec::new();
        for number in 0..sessions {
            let session = Session::open(&endpoints[number % endpoints.len()]).await?;
            let parent = session.ensure(PARENT).await;
            parent.map_err(|code| io::Error::other(Failed::from(code).0))?;
            links.push(Self { session });
        }
        Ok(links)
    }

    pub(crate) async fn close(self) {
        self.session.close().await;
    }

    async fn stand_in_line(&self, lock: &str) -> Result<String, Code> {
        self.session.ensure(lock).await?;
        let path = format!("{lock}/lock-");
        let own = self.session.create(&path, Kind::EphemeralSequential).await?;
        loop {
            let children = self.session.children(lock).await?;
            match before(&children, number(&own)) {
                Some(next) => self.session.changed(&format!("{lock}/{next}")).await?,
                None => return Ok(own),
            }
        }
    }
}

/// The child whose number is the next below this one.
fn before<'a>(children: &'a [String], own: &str) -> Option<&'a String> {
    children.iter().filter(|child| number(child) < own).max_by_key(|child| number(child))
}

fn number(path: &str) -> &str {
    path.get(path.len().saturating_sub(DIGITS)..).unwrap_or(path)
}

impl Locks for ZooKeeper {
    /// The path of the node that holds.
    type Held = String;

    async fn acquire(&self, ask: Ask) -> Result<String, Failed> {
        let path = format!("{PARENT}/{}", ask.resource.replace('/', "-"));
        if ask.wait.is_zero() {
            return Ok(self.session.create(&path, Kind::Ephemeral).await?);
        }
        Ok(self.stand_in_line(&path).await?)
    }

    async fn renew(&self, _held: &[String]) -> Result<Renewed, Failed> {
        Err(Failed("NOTHING_TO_RENEW"))
    }

    async fn release(&self, _resource: &str, held: String) -> Result<(), Failed> {
        Ok(self.session.delete(&held).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_the_line_watches_the_one_right_before_it() {
        let children: Vec<_> = [7, 3, 12, 5].map(|number| format!("lock-{number:010}")).into();
        let before = |own: u32| before(&children, &format!("{own:010}")).map(String::as_str);
        assert_eq!(before(12), Some("lock-0000000007"));
        assert_eq!(before(5), Some("lock-0000000003"));
        assert_eq!(before(3), None, "it is the first");
    }
}
