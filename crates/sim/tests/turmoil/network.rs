//! The simulated network where gRPC meets it: what is dialled, what is accepted, what was lost.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::{FutureExt, Stream, stream};
use hyper_util::rt::TokioIo;
use leasehold_net::{Connecting, Connector};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use turmoil::net::{TcpListener, TcpStream};

/// What does not get from one host to another, and how often somebody tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    blocked: BTreeSet<(String, String)>,
    hits: u64,
}

impl Links {
    pub(crate) fn block(&self, from: &str, to: &str) {
        self.state().blocked.insert((from.to_owned(), to.to_owned()));
    }

    pub(crate) fn open(&self, from: &str, to: &str) {
        self.state().blocked.remove(&(from.to_owned(), to.to_owned()));
    }

    /// Writes that met a cut or held link.
    pub(crate) fn hits(&self) -> u64 {
        self.state().hits
    }

    fn written(&self, way: &(String, String)) {
        let mut state = self.state();
        if state.blocked.contains(way) {
            state.hits += 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dials simulated hosts by name.
#[derive(Clone, Debug)]
pub(crate) struct SimConnector(pub(crate) Links);

impl Connector for SimConnector {
    fn connect(&self, endpoint: Endpoint) -> Connecting {
        let links = self.0.clone();
        async move { endpoint.connect_with_connector(service_fn(dial(links))).await }.boxed()
    }

    fn connect_lazily(&self, endpoint: Endpoint) -> Channel {
        endpoint.connect_with_connector_lazy(service_fn(dial(self.0.clone())))
    }
}

type Dialled = Pin<Box<dyn Future<Output = io::Result<TokioIo<Wire>>> + Send>>;

fn dial(links: Links) -> impl Fn(Uri) -> Dialled {
    move |uri| {
        let links = links.clone();
        async move {
            let place = uri.authority().ok_or(io::ErrorKind::InvalidInput)?.to_string();
            Ok(TokioIo::new(Wire::new(TcpStream::connect(place).await?, &links)?))
        }
        .boxed()
    }
}

/// What comes in at a port of the current host.
pub(crate) async fn listen(
    port: u16,
    links: &Links,
) -> io::Result<impl Stream<Item = io::Result<Wire>> + Send + use<>> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    Ok(stream::unfold((listener, links.clone()), |(listener, links)| async move {
        let accepted = listener.accept().await.and_then(|(stream, _)| Wire::new(stream, &links));
        Some((accepted, (listener, links)))
    }))
}

/// A simulated connection that knows when it writes into a cut.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    way: (String, String),
    links: Links,
}

impl Wire {
    fn new(stream: TcpStream, links: &Links) -> io::Result<Self> {
        let name = |address: std::net::SocketAddr| {
            turmoil::reverse_lookup(address.ip()).ok_or(io::ErrorKind::NotFound)
        };
        let way = (name(stream.local_addr()?)?, name(stream.peer_addr()?)?);
        Ok(Self { stream, way, links: links.clone() })
    }
}

impl Connected for Wire {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.links.written(&self.way);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(context, first.map_or(&[], |slice| slice))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
