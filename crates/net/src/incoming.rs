//! Connections, bounded in number: what is above the bound waits where it comes from.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

/// Out of files, most often: trying again at once would only burn the processor.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// The connections that come in at one port.
pub trait Incoming: Stream<Item = io::Result<Self::Connection>> + Send + 'static {
    /// One of them.
    type Connection: AsyncRead
        + AsyncWrite
        + Connected<ConnectInfo: Clone + Send + Sync + 'static>
        + Send
        + Unpin
        + 'static;
}

impl<I, C> Incoming for I
where
    I: Stream<Item = io::Result<C>> + Send + 'static,
    C: AsyncRead + AsyncWrite + Connected<ConnectInfo: Clone + Send + Sync + 'static>,
    C: Send + Unpin + 'static,
{
    type Connection = C;
}

/// Takes at most `max` of these connections at one time; TCP leaves the others in the system's
/// backlog. Ends when they do. An error among them is logged and left out.
pub fn incoming<I, C>(connections: I, max: usize) -> impl Stream<Item = io::Result<Connection<C>>>
where
    I: Stream<Item = io::Result<C>>,
{
    let places = Arc::new(Semaphore::new(max));
    let connections = Box::pin(connections);
    stream::unfold((connections, places), |(mut connections, places)| async move {
        let place = places.clone().acquire_owned().await.ok()?;
        let stream = next(&mut connections).await?;
        Some((Ok(Connection { stream, _place: place }), (connections, places)))
    })
}

async fn next<C>(connections: &mut (impl Stream<Item = io::Result<C>> + Unpin)) -> Option<C> {
    loop {
        match connections.next().await? {
            Ok(stream) => return Some(stream),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// A connection that gives its place back when it is dropped.
#[derive(Debug)]
pub struct Connection<C> {
    stream: C,
    _place: OwnedSemaphorePermit,
}

impl<C: Connected> Connected for Connection<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> C::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Connection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Connection<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};
    use tokio::net::{TcpListener, TcpStream};
    use tonic::transport::server::TcpIncoming;

    use super::*;

    #[tokio::test]
    async fn a_connection_above_the_bound_waits_until_another_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut accepted = Box::pin(incoming(TcpIncoming::from(listener), 1));
        let _clients = [
            TcpStream::connect(address).await.expect("connected"),
            TcpStream::connect(address).await.expect("in the backlog"),
        ];
        let first = accepted.next().await.expect("accepted");
        assert!(accepted.next().now_or_never().is_none());
        drop(first);
        let second = tokio::time::timeout(Duration::from_secs(10), accepted.next()).await;
        assert!(second.expect("in time").is_some());
    }

    #[tokio::test]
    async fn an_error_among_them_is_left_out() {
        let failed = io::Error::other("out of files");
        let (connection, _other_end) = tokio::io::duplex(1);
        let connections = stream::iter([Err(failed), Ok(connection)]);
        let taken: Vec<_> = incoming(connections, 2).collect().await;
        assert!(matches!(taken.as_slice(), [Ok(_)]), "{taken:?}");
    }
}
