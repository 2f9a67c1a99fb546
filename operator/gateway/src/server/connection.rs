//! One connection: the handshake, then HTTP/1.1 or HTTP/2 until either side has enough.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use hsm_protocol::Wiped;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::handshake::Handshake;
use super::idle::{Activity, unless_idle};
use super::within::within;
use crate::error::{ApiError, ErrorCode};
use crate::gateway::Gateway;
use crate::refusals::Refused;
use crate::router::WholeRequest;

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection stays on which no request is under way: the time for the header of the next one.
const HEADER: Duration = Duration::from_secs(60);
/// Header bytes of a request at most.
pub(super) const HEADER_BYTES: usize = 16 * 1_024;
/// Header fields of a request at most.
pub(super) const HEADER_FIELDS: usize = 64;
/// Body bytes of a request at most: several times the largest valid one.
pub(super) const BODY_BYTES: usize = 64 * 1_024;
/// Time for a body.
const BODY: Duration = Duration::from_secs(20);
/// Concurrent HTTP/2 requests of a connection at most.
const STREAMS: u32 = 128;

pub(super) fn protocol() -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol
        .http1()
        // See `idle`.
        .header_read_timeout(None::<Duration>)
        // Answers are small: copied behind their header they cost less than a list of buffers.
        .writev(false)
        // While a request is being answered nothing is read: that would need a second buffer beside the one its header
        // is still in. A client that goes away meanwhile is noticed after that: what it began ends, and is recorded.
        .half_close(true)
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
pub(super) struct Connection {
    pub(super) gateway: Arc<Gateway>,
    pub(super) protocol: Arc<auto::Builder<TokioExecutor>>,
    pub(super) peer: SocketAddr,
    /// Its place among all connections and among those of its core, given back when it ends.
    pub(super) _seat: (OwnedSemaphorePermit, Arc<()>),
}

impl Connection {
    pub(super) async fn run(self, stream: std::net::TcpStream, handshake: impl Handshake, watcher: Watcher) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        // Requests are small: waiting to fill a segment would only add latency.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let shaken = timeout(HANDSHAKE, handshake.shake(stream)).await.unwrap_or_else(|slow| Err(slow.into()));
        let stream = match shaken {
            Ok(stream) => stream,
            Err(error) => {
                return self.gateway.refusals.note(Refused::Handshake, Some(&self.peer), format_args!("{error}"));
            }
        };
        self.gateway.metrics.connections.inc();
        let (gateway, peer, activity) = (Arc::clone(&self.gateway), self.peer.ip(), Arc::new(Activity::new()));
        let asked = Arc::clone(&activity);
        let service = service_fn(move |request| {
            // From here on, and not from when it is first polled: over HTTP/2 another task does that.
            let (gateway, under_way) = (Arc::clone(&gateway), asked.begin());
            async move {
                let _under_way = under_way;
                Ok::<_, Infallible>(answer(&gateway, peer, request).await)
            }
        });
        let connection = watcher.watch(self.protocol.serve_connection(TokioIo::new(stream), service));
        match unless_idle(&activity, HEADER, connection).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%error, peer = %self.peer, "a connection ended"),
            None => tracing::debug!(peer = %self.peer, "a connection was idle for too long"),
        }
        self.gateway.metrics.connections.dec();
    }
}

async fn answer(gateway: &Gateway, peer: IpAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    // A body that came with its header is handed over when it is asked for a second time.
    match within(BODY, read(body)).await {
        Ok(Ok(body)) => gateway.handle(WholeRequest { parts, body, peer, received_at: Timestamp::now() }).await,
        Ok(Err(unread)) => gateway.refuse(parts, peer, unread.into()).await,
        Err(_) => gateway.refuse(parts, peer, Unread::TooSlow.into()).await,
    }
}

/// Why there is no whole body.
enum Unread {
    TooLarge,
    TooSlow,
    /// The connection broke, or the framing of the body is not HTTP's.
    Broken,
}

impl From<Unread> for ApiError {
    fn from(unread: Unread) -> Self {
        let (code, text) = match unread {
            Unread::TooLarge => (ErrorCode::RequestEntityTooLarge, "The request body is larger than any valid one."),
            Unread::TooSlow => (ErrorCode::RequestTimeout, "The request body took too long to arrive."),
            Unread::Broken => (ErrorCode::Serialization, "The request body did not arrive as a whole."),
        };
        Self::new(code, text)
    }
}

/// Reads a body into one buffer that is wiped on drop. The buffer never grows: growing would leave copies behind.
async fn read(mut body: Incoming) -> Result<Wiped, Unread> {
    let declared = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    if declared.is_some_and(|length| length > BODY_BYTES) {
        return Err(Unread::TooLarge);
    }
    let mut whole = Wiped::with_capacity(declared.unwrap_or(BODY_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        let Ok(mut data) = frame.into_data() else { continue };
        if whole.len() + data.remaining() > BODY_BYTES {
            return Err(Unread::TooLarge);
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
