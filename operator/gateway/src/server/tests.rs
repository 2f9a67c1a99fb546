//! The server over real TLS: certificates that change while serving, handshakes that fail, limits, and draining.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::SystemTime;

use bytes::Bytes;
use hsm_client::pki::CertificateAuthority;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

mod http2;
mod smuggling;

use super::connection::{BODY_BYTES, HEADER_BYTES, HEADER_FIELDS};
use super::*;
use crate::router::tests::bench::Bench;

/// How long the server may take for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate authority of its own, and what it issued for `localhost`.
struct Issued {
    authority: String,
    certificate: String,
    key: String,
}

fn issue() -> Issued {
    let (now, lifetime) = (SystemTime::now(), Duration::from_secs(3_600));
    let made = CertificateAuthority::generate_operator("test", now).unwrap();
    let authority = CertificateAuthority::load(&made.certificate, &made.key).unwrap();
    let server = authority.issue_server(&["localhost".to_owned()], now, lifetime).unwrap();
    Issued { authority: made.certificate, certificate: server.certificate, key: server.key.expose().to_owned() }
}

/// A server on a free port.
struct Serving {
    bench: Bench,
    certificate: Arc<ServingCertificate>,
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Serving {
    async fn start(issued: &Issued) -> Self {
        let bench = Bench::new();
        let certificate = Arc::new(ServingCertificate::new().unwrap());
        certificate.install(issued.certificate.as_bytes(), issued.key.as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let gateway = Arc::clone(&bench.gateway);
        let places = vec![ServingPlace { runtime: Handle::current(), gateway }];
        let task = tokio::spawn(serve(listener, certificate.acceptor(), places, shutdown.clone()));
        Self { bench, certificate, address, shutdown, task }
    }

    async fn handshake(&self, trusted: &str) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    async fn connect<B>(&self, trusted: &str) -> http1::SendRequest<B>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let stream = self.handshake(trusted).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// A signed request with a body of `length` bytes beyond the JSON.
    fn request(&self, padding: usize) -> Request<Full<Bytes>> {
        let body = format!("{}{}", json!({}), " ".repeat(padding));
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.ListKeys")];
        let whole = self.bench.a.signed("kms", &headers, body.as_bytes());
        Request::from_parts(whole.parts, Full::new(Bytes::from(body)))
    }
}

#[tokio::test]
async fn a_signed_request_over_https_is_answered_and_the_connection_stays() {
    let issued = issue();
    let serving = Serving::start(&issued).await;
    let mut sender = serving.connect(&issued.authority).await;
    for _ in 0..3 {
        let answer = sender.send_request(serving.request(0)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("KeyArn"));
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_served_at_once_and_open_connections_go_on() {
    let (first, second) = (issue(), issue());
    let serving = Serving::start(&first).await;
    let mut open = serving.connect(&first.authority).await;
    assert_eq!(open.send_request(serving.request(0)).await.unwrap().status(), StatusCode::OK);
    serving.certificate.install(second.certificate.as_bytes(), second.key.as_bytes()).unwrap();
    assert!(serving.handshake(&first.authority).await.is_err());
    let mut renewed = serving.connect(&second.authority).await;
    assert_eq!(renewed.send_request(serving.request(0)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(open.send_request(serving.request(0)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_leaves_the_present_one() {
    let (good, other) = (issue(), issue());
    let serving = Serving::start(&good).await;
    for (certificate, key) in
        [("", good.key.as_str()), (&good.certificate, ""), ("nonsense", "nonsense"), (&good.certificate, &other.key)]
    {
        assert!(serving.certificate.install(certificate.as_bytes(), key.as_bytes()).is_err());
        assert!(serving.handshake(&good.authority).await.is_ok());
    }
}

/// What is logged about refusals on this thread.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Line>>>);

/// The fields of one line as `name=value`.
#[derive(Clone, Debug, Default)]
struct Line(Vec<String>);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push(format!("{field}={value:?}"));
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "refusal_log"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn each_handshake_that_fails_is_counted_and_logged_with_its_peer_and_reason() {
    let (issued, other) = (issue(), issue());
    let told = Told::default();
    let _here = tracing::subscriber::set_default(told.clone());
    let serving = Serving::start(&issued).await;
    let counted = || serving.bench.gateway.metrics.refusals.with_label_values(&["handshake"]).get();

    assert!(serving.handshake(&other.authority).await.is_err(), "a client that does not trust us");
    until(|| counted() == 1).await;
    let mut in_the_clear = TcpStream::connect(serving.address).await.unwrap();
    in_the_clear.write_all(b"GET / HTTP/1.1\r\nHost: kms.test\r\n\r\n").await.unwrap();
    until(|| counted() == 2).await;
    drop(TcpStream::connect(serving.address).await.unwrap());
    until(|| counted() == 3).await;

    let lines = told.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for Line(fields) in &lines {
        for start in [r#"refused="handshake"#, "peer=127.0.0.1:", "why="] {
            assert!(fields.iter().any(|field| field.starts_with(start) && field.len() > start.len()), "{fields:?}");
        }
    }
    assert!(serving.handshake(&issued.authority).await.is_ok(), "a good client is served");
    assert_eq!(counted(), 3);
    assert!(serving.bench.records().is_empty(), "nobody has called an operation");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_with_and_without_a_declared_length() {
    let issued = issue();
    let serving = Serving::start(&issued).await;
    let mut sender = serving.connect(&issued.authority).await;
    assert_eq!(sender.send_request(serving.request(BODY_BYTES - 2)).await.unwrap().status(), StatusCode::OK);
    let answer = sender.send_request(serving.request(BODY_BYTES - 1)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b' '; 4_096]))));
    let chunked = serving.request(0).map(|_| StreamBody::new(futures::stream::iter(chunks)));
    let mut sender = serving.connect(&issued.authority).await;
    assert_eq!(sender.send_request(chunked).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let errors: Vec<_> = serving.bench.records().iter().map(|record| record["errorCode"].clone()).collect();
    assert_eq!(
        errors[1..],
        ["RequestEntityTooLargeException", "RequestEntityTooLargeException"].map(|code| json!(code))
    );
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let issued = issue();
    let serving = Serving::start(&issued).await;
    for padding in ["x".repeat(HEADER_BYTES + 1), String::new()] {
        let mut request = serving.request(0);
        let fields = if padding.is_empty() { HEADER_FIELDS + 1 } else { 1 };
        for number in 0..fields {
            let name = http::HeaderName::try_from(format!("padding-{number}")).unwrap();
            request.headers_mut().insert(name, padding.parse().unwrap());
        }
        let mut sender = serving.connect(&issued.authority).await;
        let refused = sender.send_request(request).await;
        assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 431));
    }
    assert!(serving.bench.records().is_empty());
}

/// Waits for what the server does in its own time.
async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the server did not do it");
}

#[tokio::test]
async fn at_the_end_requests_under_way_are_answered_and_new_connections_are_not_accepted() {
    let issued = issue();
    let serving = Serving::start(&issued).await;
    let (body, mut rest) = futures::channel::mpsc::unbounded();
    let json = Bytes::from_static(b"{}");
    body.unbounded_send(Ok::<_, std::io::Error>(Frame::data(json.slice(..1)))).unwrap();
    let request = serving
        .request(0)
        .map(|_| StreamBody::new(std::mem::replace(&mut rest, futures::channel::mpsc::unbounded().1)));
    let mut sender = serving.connect(&issued.authority).await;
    let gateway = &serving.bench.gateway;
    until(|| gateway.metrics.connections.get() == 1).await;
    // A request whose head has been read holds the gateway.
    let idle = Arc::strong_count(gateway);
    let under_way = tokio::spawn(async move { sender.send_request(request).await });
    until(|| Arc::strong_count(gateway) > idle).await;
    serving.shutdown.cancel();
    let refused = async { while TcpStream::connect(serving.address).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("no new connections");
    assert!(!under_way.is_finished(), "the request was cut off");
    body.unbounded_send(Ok(Frame::data(json.slice(1..)))).unwrap();
    drop(body);
    assert_eq!(under_way.await.unwrap().unwrap().status(), StatusCode::OK);
    serving.task.await.unwrap();
}
