//! The least that a durable commit of a majority costs on this disk and this loopback, whatever the
//! program: one small write with its `fdatasync`, a round trip from the client to the leader, and one
//! from the leader to a follower, one after the other.
//!
//! Measured with nothing around it: a file whose blocks are there already, blocking threads, no
//! framing. A real commit writes to two disks at least, and wakes more threads; so multiples of this
//! are never 1.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::figures::{Figures, Measured, OK};

/// What is written and sent: about a small command.
const BYTES: usize = 64;
/// Zeros written before, so that no write changes the file's size.
const FILE_BYTES: usize = 1 << 20;

/// What was measured.
#[derive(Clone, Debug)]
pub struct Floor {
    /// Rows `fdatasync`, `round_trip` and, one after the other, `commit`.
    pub rows: Vec<Measured>,
    /// Median of `commit` in microseconds: what latencies are multiples of.
    pub commit_us: f64,
}

/// Measures for about `length`, at least once, with a file in `folder` that has no name. Blocks.
///
/// # Errors
/// What the disk or the loopback says.
pub fn measure(folder: &Path, length: Duration) -> io::Result<Floor> {
    let file = prepared(folder)?;
    let mut connection = echo()?;
    let figures = Figures::new(None);
    let begun = Instant::now();
    for number in 0_u64.. {
        let at = begun.elapsed();
        let place = number * BYTES as u64 % FILE_BYTES as u64;
        file.write_all_at(&[number.to_le_bytes()[0]; BYTES], place)?;
        file.sync_data()?;
        let synced = begun.elapsed();
        round_trip(&mut connection)?;
        let once = begun.elapsed();
        round_trip(&mut connection)?;
        let twice = begun.elapsed();
        figures.record("fdatasync", OK, at, synced - at);
        figures.record("round_trip", OK, synced, once - synced);
        figures.record("round_trip", OK, once, twice - once);
        figures.record("commit", OK, at, twice - at);
        if twice >= length {
            break;
        }
    }
    let rows = figures.read();
    let commit = rows.iter().find(|row| row.measure == "commit").and_then(|row| row.latency);
    let commit_us = commit.map_or(f64::NAN, |latency| latency.p50);
    Ok(Floor { rows, commit_us })
}

fn prepared(folder: &Path) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&vec![0; FILE_BYTES])?;
    file.sync_all()?;
    Ok(file)
}

/// A connection to a thread that sends back what it receives, until the connection is closed.
fn echo() -> io::Result<TcpStream> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut message = [0; BYTES];
        loop {
            stream.read_exact(&mut message)?;
            stream.write_all(&message)?;
        }
    });
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn round_trip(connection: &mut TcpStream) -> io::Result<()> {
    let mut message = [1; BYTES];
    connection.write_all(&message)?;
    connection.read_exact(&mut message)
}
