//! HTTPS: accepts connections, bounds what they may cost, and drains them at the end.
//!
//! Every limit is here: connections, handshake time, header size and time, body size and time, idle time. A client that
//! does not keep to them costs a bounded amount of memory for a bounded time.

mod certificate;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub use certificate::{CertificateError, ServingCertificate};

use crate::error::ErrorCode;
use crate::gateway::Gateway;
use crate::router::WholeRequest;

/// Open connections at most; more are closed at once.
const MOST_CONNECTIONS: usize = 10_000;
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for the header of a request, which is also how long an idle connection stays.
const HEADER: Duration = Duration::from_secs(60);
/// Header bytes of a request at most.
const HEADER_BYTES: usize = 16 * 1_024;
/// Header fields of a request at most.
const HEADER_FIELDS: usize = 64;
/// Body bytes of a request at most: several times the largest valid one.
pub(crate) const BODY_BYTES: usize = 64 * 1_024;
/// Time for a body.
const BODY: Duration = Duration::from_secs(20);
/// Concurrent HTTP/2 requests of a connection at most.
const STREAMS: u32 = 128;
/// Time for requests under way when the server ends.
const DRAIN: Duration = Duration::from_secs(20);

/// Serves until `shutdown`, then lets requests under way end.
pub async fn serve(
    listener: TcpListener,
    certificate: Arc<ServingCertificate>,
    gateway: Arc<Gateway>,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(certificate.server_config());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let drain = GracefulShutdown::new();
    let protocol = Arc::new(protocol());
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            gateway.metrics.refused_connections.inc();
            continue;
        };
        let connection =
            Connection { gateway: Arc::clone(&gateway), protocol: Arc::clone(&protocol), peer, _place: place };
        let (acceptor, watcher) = (acceptor.clone(), drain.watcher());
        tokio::spawn(async move { connection.run(stream, acceptor, watcher).await });
    }
    drop(listener);
    if timeout(DRAIN, drain.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way when the server ended");
    }
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_headers(HEADER_FIELDS)
        .max_buf_size(HEADER_BYTES);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(HEADER)
        .keep_alive_timeout(HANDSHAKE);
    protocol
}

/// One accepted connection.
struct Connection {
    gateway: Arc<Gateway>,
    protocol: Arc<auto::Builder<TokioExecutor>>,
    peer: SocketAddr,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, acceptor: TlsAcceptor, watcher: hyper_util::server::graceful::Watcher) {
        // Requests are small: waiting to fill a segment would only add latency.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else {
            tracing::debug!(peer = %self.peer, "no TLS handshake");
            return;
        };
        self.gateway.metrics.connections.inc();
        let (gateway, peer) = (Arc::clone(&self.gateway), self.peer.ip());
        let service = service_fn(move |request| {
            let gateway = Arc::clone(&gateway);
            async move { Ok::<_, std::convert::Infallible>(answer(&gateway, peer, request).await) }
        });
        let served = watcher.watch(self.protocol.serve_connection(TokioIo::new(stream), service)).await;
        if let Err(error) = served {
            tracing::debug!(%error, peer = %self.peer, "a connection ended");
        }
        self.gateway.metrics.connections.dec();
    }
}

async fn answer(gateway: &Gateway, peer: IpAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    match timeout(BODY, read(body)).await {
        Ok(Ok(body)) => gateway.handle(WholeRequest { parts, body, peer, received_at: Timestamp::now() }).await,
        Ok(Err(Unread)) => gateway.refuse(parts, peer, ErrorCode::RequestEntityTooLarge).await,
        Err(_) => gateway.refuse(parts, peer, ErrorCode::RequestTimeout).await,
    }
}

/// The body was too large, or the connection broke.
struct Unread;

/// Reads a body into one buffer that is wiped on drop. The buffer never grows: growing would leave copies behind.
async fn read(mut body: Incoming) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let declared = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    if declared.is_some_and(|length| length > BODY_BYTES) {
        return Err(Unread);
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(declared.unwrap_or(BODY_BYTES)));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread)?;
        let Ok(mut data) = frame.into_data() else { continue };
        if whole.len() + data.remaining() > BODY_BYTES {
            return Err(Unread);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            whole.extend_from_slice(chunk);
            let length = chunk.len();
            data.advance(length);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
