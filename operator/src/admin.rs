//! The admin port: `/healthz` (the process runs), `/readyz` (it does its job), `/metrics` (Prometheus text). Plain HTTP, read only.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;

/// Names what the process still waits for; empty when it is ready.
pub(crate) type Readiness = Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>;

/// Binds `address` and serves until the process ends; returns the bound address.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) async fn serve(address: SocketAddr, registry: Registry, ready: Readiness) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
    let bound = listener.local_addr().context("failed to read the admin address")?;
    tokio::spawn(accept(listener, registry, ready));
    Ok(bound)
}

async fn accept(listener: TcpListener, registry: Registry, ready: Readiness) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: waiting is better than a busy loop.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let (registry, ready) = (registry.clone(), ready.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &registry, &ready);
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut server = auto::Builder::new(TokioExecutor::new());
            // A client that sends no complete request head within this time is cut off.
            server.http1().timer(TokioTimer::new()).header_read_timeout(std::time::Duration::from_secs(5));
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "admin connection ended");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, registry: &Registry, ready: &Readiness) -> Response<Full<Bytes>> {
    let (status, body) = route(request.method(), request.uri().path(), registry, ready);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn route(method: &Method, path: &str, registry: &Registry, ready: &Readiness) -> (StatusCode, String) {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed\n".into());
    }
    match path {
        "/healthz" => (StatusCode::OK, "ok\n".into()),
        "/readyz" => match ready().as_slice() {
            [] => (StatusCode::OK, "ready\n".into()),
            missing => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", missing.join(", "))),
        },
        "/metrics" => match TextEncoder::new().encode_to_string(&registry.gather()) {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to encode the metrics: {error}\n")),
        },
        _ => (StatusCode::NOT_FOUND, "try /healthz, /readyz or /metrics\n".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &Method, path: &str, ready: bool) -> StatusCode {
        let readiness: Readiness = Arc::new(move || if ready { vec![] } else { vec!["watches"] });
        route(method, path, &Registry::new(), &readiness).0
    }

    #[test]
    fn each_path_has_its_answer() {
        for (path, ready, want) in [
            ("/healthz", false, 200),
            ("/readyz", true, 200),
            ("/readyz", false, 503),
            ("/metrics", false, 200),
            ("/", true, 404),
            ("/metrics/", true, 404),
        ] {
            assert_eq!(ask(&Method::GET, path, ready).as_u16(), want, "{path} {ready}");
        }
        assert_eq!(ask(&Method::POST, "/healthz", true), StatusCode::METHOD_NOT_ALLOWED);
    }
}
