//! The ceiling of the HTTP library: hyper as the gateway uses it, reading each body and answering with the same bytes.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kms_gateway::Handshake;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// As long as an answer to Encrypt.
static ANSWER: [u8; 280] = [b' '; 280];

/// Accepts for ever; connections go to the runtimes in turn.
pub(super) async fn serve(listener: TcpListener, handshake: impl Handshake, runtimes: &[Handle]) {
    for runtime in runtimes.iter().cycle() {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let Ok(stream) = stream.into_std() else { continue };
        runtime.spawn(connection(stream, handshake.clone()));
    }
}

async fn connection(stream: std::net::TcpStream, handshake: impl Handshake) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(stream) = handshake.shake(stream).await else { return };
    // A client that goes away is the end of a round.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await;
    let answer = if body.is_ok() { &ANSWER[..] } else { &[] };
    let mut response = Response::new(Full::new(Bytes::from_static(answer)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    Ok(response)
}
