//! One connection through the proxy: two pumps, each with its fault.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::fault::{Fault, Hits, Link};

/// Longer than a packet takes, and shorter than anybody waits.
const CONNECT: Duration = Duration::from_secs(1);
const PIECE: usize = 16 * 1024;

/// Why a pump stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its reader was closed.
    Closed,
    /// The fault asks for a reset.
    Reset,
}

/// Carries one accepted connection to its target until either end, or a fault, ends it.
pub(super) async fn carry(mut near: TcpStream, target: SocketAddr, link: Link) {
    let Ok(Ok(mut far)) = tokio::time::timeout(CONNECT, TcpStream::connect(target)).await else {
        // Whoever connected sees what it would have seen: nobody is there.
        reset(&near);
        return;
    };
    // A piece is passed on when it comes, as the ends themselves do it.
    let quick = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
    let ended = match quick {
        Err(_) => End::Reset,
        Ok(()) => {
            let (near_read, near_write) = near.split();
            let (far_read, far_write) = far.split();
            let ended = tokio::select! {
                ended = pump(near_read, far_write, link.forth.subscribe(), &link.hits) => ended,
                ended = pump(far_read, near_write, link.back.subscribe(), &link.hits) => ended,
            };
            // An end that broke is passed on as a break.
            ended.unwrap_or(End::Reset)
        }
    };
    if ended == End::Reset {
        reset(&near);
        reset(&far);
    }
}

/// Makes the kernel say RST when the socket is dropped.
fn reset(stream: &TcpStream) {
    // On a socket that is broken already there is nothing left to reset.
    let _ = stream.set_zero_linger();
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut fault: watch::Receiver<Fault>,
    hits: &Hits,
) -> io::Result<End> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(End::Closed);
        }
        let piece = &mut piece[..length];
        let now = *fault.borrow_and_update();
        hits.count(now);
        match now {
            Fault::None => {}
            Fault::Delay(least, more) => {
                tokio::time::sleep(least + more.mul_f64(fastrand::f64())).await;
            }
            Fault::Hold => over(&mut fault, Fault::Hold).await,
            Fault::Swallow => {
                swallow(&mut from, &mut fault).await?;
                return Ok(End::Reset);
            }
            Fault::Corrupt => piece[fastrand::usize(..length)] ^= 1 << fastrand::u8(..8),
            Fault::Reset => {
                to.write_all(&piece[..length / 2]).await?;
                return Ok(End::Reset);
            }
        }
        to.write_all(piece).await?;
    }
}

/// Reads and forgets until the fault is over or the connection is.
async fn swallow(from: &mut ReadHalf<'_>, fault: &mut watch::Receiver<Fault>) -> io::Result<()> {
    let mut nowhere = vec![0; PIECE];
    loop {
        tokio::select! {
            () = over(fault, Fault::Swallow) => return Ok(()),
            read = from.read(&mut nowhere) => if read? == 0 { return Ok(()) },
        }
    }
}

async fn over(fault: &mut watch::Receiver<Fault>, this: Fault) {
    // Once nobody can set a fault any more there is none.
    let _ = fault.wait_for(|now| *now != this).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Two ends with a proxy between them: (the one that connected, the one it reached, the link).
    async fn linked() -> (TcpStream, TcpStream, Link) {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::new(Arc::default());
        let (address, carried) = (target.local_addr().unwrap(), link.clone());
        let near = TcpStream::connect(front.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = front.accept().await.unwrap();
        tokio::spawn(carry(accepted, address, carried));
        let (far, _) = target.accept().await.unwrap();
        (near, far, link)
    }

    fn hits(link: &Link, kind: &str) -> u64 {
        link.hits.by_name().into_iter().find(|(name, _)| *name == kind).unwrap().1
    }

    async fn hit(link: &Link, kind: &str) {
        let counted = async {
            while hits(link, kind) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, counted).await.expect("the fault happens");
    }

    async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = stream.read_exact(&mut bytes);
        tokio::time::timeout(PATIENCE, read).await.expect("in time").expect("open");
        bytes
    }

    async fn is_reset(stream: &mut TcpStream) -> bool {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        let error = read.expect("it ends").expect_err("and not in order");
        error.kind() == io::ErrorKind::ConnectionReset
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_and_a_close_is_passed_on() {
        let (mut near, mut far, _link) = linked().await;
        near.write_all(b"question").await.unwrap();
        assert_eq!(read(&mut far, 8).await, b"question");
        far.write_all(b"answer").await.unwrap();
        assert_eq!(read(&mut near, 6).await, b"answer");
        drop(near);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn held_bytes_come_when_the_hold_is_over_and_not_before() {
        let (mut near, mut far, link) = linked().await;
        link.forth.send_replace(Fault::Hold);
        near.write_all(b"late").await.unwrap();
        hit(&link, "held").await;
        let nothing = far.try_read(&mut [0; 4]).expect_err("nothing came yet");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        far.write_all(b"the other way is open").await.unwrap();
        assert_eq!(read(&mut near, 21).await, b"the other way is open");
        link.forth.send_replace(Fault::None);
        assert_eq!(read(&mut far, 4).await, b"late");
    }

    #[tokio::test]
    async fn delayed_bytes_come_in_order_and_whole() {
        let (mut near, mut far, link) = linked().await;
        link.forth.send_replace(Fault::Delay(Duration::from_millis(1), Duration::from_millis(3)));
        for number in 0..50_u8 {
            near.write_all(&[number; 3]).await.unwrap();
        }
        let expected: Vec<u8> = (0..50).flat_map(|number| [number; 3]).collect();
        assert_eq!(read(&mut far, 150).await, expected);
        assert!(hits(&link, "delayed") > 0);
    }

    #[tokio::test]
    async fn swallowed_bytes_never_come_the_other_way_works_and_the_end_is_a_reset() {
        let (mut near, mut far, link) = linked().await;
        link.back.send_replace(Fault::Swallow);
        far.write_all(b"lost").await.unwrap();
        hit(&link, "swallowed").await;
        near.write_all(b"heard").await.unwrap();
        assert_eq!(read(&mut far, 5).await, b"heard");
        link.back.send_replace(Fault::None);
        assert!(is_reset(&mut near).await);
    }

    #[tokio::test]
    async fn a_corrupted_piece_differs_in_one_bit() {
        let (mut near, mut far, link) = linked().await;
        link.forth.send_replace(Fault::Corrupt);
        near.write_all(&[0; 64]).await.unwrap();
        let came = read(&mut far, 64).await;
        let flipped: u32 = came.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(u64::from(flipped), hits(&link, "corrupted"));
    }

    #[tokio::test]
    async fn a_reset_in_the_middle_passes_half_and_breaks_both_ends() {
        let (mut near, mut far, link) = linked().await;
        link.forth.send_replace(Fault::Reset);
        near.write_all(b"cut here").await.unwrap();
        hit(&link, "reset").await;
        assert!(is_reset(&mut near).await);
        assert!(is_reset(&mut far).await);
    }

    #[tokio::test]
    async fn where_nobody_listens_the_caller_is_refused() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(front.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = front.accept().await.unwrap();
        tokio::spawn(carry(accepted, gone, Link::new(Arc::default())));
        assert!(is_reset(&mut near).await);
    }
}
