//! Handshakes that are broken, and layers that are missing, doubled or in the wrong order (T-09, INV-65).

use super::Target;
use super::intruder::{Forge, Papers, Raw, layer, nested, within, wrap};
use bytes::BytesMut;
use hsm_protocol::frame::put_request;
use hsm_protocol::message::{HelloRequest, HsmInfoRequest, LoginRequest};
use hsm_protocol::{Command, ReturnCode};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// A Hello as a frame.
fn hello_frame() -> Vec<u8> {
    let mut bytes = BytesMut::new();
    put_request(&mut bytes, Command::Hello, 1, 0, &HelloRequest { client_nonce: vec![7; 32] }).expect("fits");
    bytes.to_vec()
}

/// The first flight of a good client.
fn client_hello() -> Vec<u8> {
    let name = ServerName::try_from("CloudHSM").expect("a name");
    let mut connection = ClientConnection::new(layer(None, &[]), name).expect("starts");
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).expect("writes");
    bytes
}

/// A ClientHello of an older version, as OpenSSL's default would have been: two suites, P-256, ECDSA with SHA-256.
fn old_client_hello(version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
    let common = [&[0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3], extensions].concat();
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0x13, 0x01];
    let body = [&version[..], &[7; 32], &[0], &length(&suites), &suites, &[1, 0], &length(&common), &common].concat();
    let handshake = [&[1, 0], &length(&body)[..], &body].concat();
    [&[22, 3, 1], &length(&handshake)[..], &handshake].concat()
}

/// Bytes that are sent to an HSM in place of a handshake.
fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let hello = client_hello();
    let mut flipped = hello.clone();
    flipped[60] ^= 0xff;
    let mut oversize = hello.clone();
    oversize[3..5].copy_from_slice(&[0xff, 0xff]);
    let mut lying = hello.clone();
    lying[6..9].copy_from_slice(&[0xff, 0xff, 0xff]);
    // supported_versions that offers TLS 1.2 alone.
    let only_12 = old_client_hello([3, 3], &[0, 43, 0, 3, 2, 3, 3]);
    vec![
        ("nothing", vec![]),
        ("a frame in the clear", hello_frame()),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: hsm\r\n\r\n".to_vec()),
        ("zeroes", vec![0; 4_096]),
        ("SSL 2", vec![0x80, 0x2e, 1, 0, 2, 0, 21, 0, 0, 0, 16, 1, 0, 0x80, 3, 0, 0x80, 7, 0, 0xc0]),
        ("SSL 3", old_client_hello([3, 0], &[])),
        ("TLS 1.0", old_client_hello([3, 1], &[])),
        ("TLS 1.1", old_client_hello([3, 2], &[])),
        ("TLS 1.2", old_client_hello([3, 3], &[])),
        ("TLS 1.2 by extension", only_12),
        ("half a ClientHello", hello[..hello.len() / 2].to_vec()),
        ("a ClientHello and nothing more", hello.clone()),
        ("a ClientHello with a changed byte in it", flipped),
        ("a record beyond the limit", oversize),
        ("a handshake message beyond the limit", lying),
        ("a ClientHello and a frame in the clear", [hello.clone(), hello_frame()].concat()),
        ("two ClientHellos", [&hello[..], &hello].concat()),
        ("empty records", [22, 3, 3, 0, 0].repeat(200)),
        ("alerts", [21, 3, 3, 0, 2, 1, 0].repeat(200)),
        ("application data first", [&[23, 3, 3, 0, 20][..], &[7; 20]].concat()),
        ("a finished message first", [&[22, 3, 3, 0, 36, 20, 0, 0, 32][..], &[7; 32]].concat()),
    ]
}

/// Sends bytes and no more, and waits until the HSM has hung up; whatever it says must not be a frame.
async fn hangs_up<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) -> bool {
    let mut received = Vec::new();
    // It may hang up while we write.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let _ = within(stream.read_to_end(&mut received)).await;
    // An HSM's own records at most: ServerHello and an alert.
    !received.windows(4).any(|bytes| bytes == [1, 1, 1, 1])
}

pub(super) async fn what_is_no_handshake_of_tls_1_3_is_not_answered_in_either_layer(target: &Target) {
    let cluster = &target.cluster;
    let (address, papers) = (target.endpoint.address, Forge::customer(cluster).client(|_| {}));
    for (what, bytes) in broken() {
        assert!(hangs_up(TcpStream::connect(address).await.expect("connects"), &bytes).await, "outer: {what}");
        target.still_serves(what).await;
        let outer = wrap(TcpStream::connect(address).await.expect("connects"), layer(Some(&papers), &[])).await;
        assert!(hangs_up(outer.expect("the outer layer"), &bytes).await, "inner: {what}");
        target.still_serves(what).await;
    }
}

/// Changes one byte of what is written, `at` bytes from the start.
struct Tampering<S> {
    stream: S,
    at: usize,
    written: usize,
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tampering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut bytes = bytes.to_vec();
        if let Some(byte) = self.at.checked_sub(self.written).and_then(|position| bytes.get_mut(position)) {
            *byte ^= 0x20;
        }
        let written = Pin::new(&mut self.stream).poll_write(context, &bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.written += count;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tampering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// Hello through both layers, with byte `at` of the outer (or the inner) layer's records changed on its way.
async fn tampered(address: SocketAddr, papers: &Papers, at: usize, inner: bool) -> io::Result<ReturnCode> {
    let tcp = TcpStream::connect(address).await?;
    let never = usize::MAX;
    let tcp = Tampering { stream: tcp, at: if inner { never } else { at }, written: 0 };
    let outer = wrap(tcp, layer(Some(papers), &[])).await?;
    let outer = Tampering { stream: outer, at: if inner { at } else { never }, written: 0 };
    Raw::over(wrap(outer, layer(None, &[])).await?).hello().await
}

pub(super) async fn a_handshake_that_is_changed_on_its_way_is_not_finished(target: &Target) {
    let cluster = &target.cluster;
    let (address, papers) = (target.endpoint.address, Forge::customer(cluster).client(|_| {}));
    let untouched = tampered(address, &papers, usize::MAX - 1, false).await;
    assert_eq!(untouched.expect("an answer"), ReturnCode::Success, "the control");
    let first = client_hello().len();
    // In the ClientHello, in the second flight (certificate, its signature, Finished), and in the first frame.
    for (inner, offsets) in
        [(false, [40, 200, first + 20, first + 300, first + 600]), (true, [40, 200, 400, first + 20, first + 40])]
    {
        for at in offsets {
            let answer = tampered(address, &papers, at, inner).await;
            assert!(answer.is_err(), "byte {at}, inner: {inner}: {answer:?}");
            target.still_serves("a changed byte").await;
        }
    }
}

pub(super) async fn a_missing_doubled_or_swapped_layer_is_not_answered(target: &Target) {
    let cluster = &target.cluster;
    let (address, papers) = (target.endpoint.address, Forge::customer(cluster).client(|_| {}));
    let tcp = || async { TcpStream::connect(address).await.expect("connects") };
    let outer = || async { wrap(tcp().await, layer(Some(&papers), &[])).await.expect("the outer layer") };

    let mut skipped = Raw::over(outer().await);
    assert!(skipped.hello().await.is_err(), "frames in the outer layer");
    let inner_only = wrap(tcp().await, layer(None, &[])).await;
    let answer = match inner_only {
        Ok(stream) => Raw::over(stream).hello().await,
        Err(error) => Err(error),
    };
    assert!(answer.is_err(), "the inner layer alone");
    // The certificate in the layer that does not ask for one, and none in the one that does.
    let swapped = async {
        let outer = wrap(tcp().await, layer(None, &[])).await?;
        Raw::over(wrap(outer, layer(Some(&papers), &[])).await?).hello().await
    };
    assert!(swapped.await.is_err(), "swapped layers");
    let tripled = async {
        let inner = wrap(outer().await, layer(None, &[])).await?;
        Raw::over(wrap(inner, layer(None, &[])).await?).hello().await
    };
    assert!(tripled.await.is_err(), "three layers");
    let mut ended = outer().await;
    ended.shutdown().await.expect("says goodbye");
    assert!(Raw::over(ended).hello().await.is_err(), "after the end of the outer layer");
    target.still_serves("wrong layers").await;
}

/// Who only terminates the outer layer cannot use a login that passes through it: it names the outer session that its
/// sender sees (labels, `OUTER_EXPORTER`). Nor is a failure counted.
pub(super) async fn a_login_relayed_from_another_outer_session_is_refused_and_costs_no_attempt(target: &Target) {
    let cluster = &target.cluster;
    let (address, papers) = (target.endpoint.address, Forge::customer(cluster).client(|_| {}));
    let mut victim = nested(address, Some(&papers)).await.expect("connects");
    let mut relay = nested(address, Some(&papers)).await.expect("connects");
    let login = |outer_exporter: &[u8]| LoginRequest {
        user: hsm_client::KMS_USER.into(),
        password: cluster.kmsuser_password().to_string(),
        outer_exporter: outer_exporter.to_vec(),
    };
    for session in [&mut victim, &mut relay] {
        assert_eq!(session.hello().await.expect("answers"), ReturnCode::Success);
    }
    let (own, mut changed) = (relay.outer_exporter, relay.outer_exporter);
    changed[31] ^= 1;
    for exporter in [&victim.outer_exporter[..], &changed, &[0; 32], &[], &[7; 64], &own[..31]] {
        let code = relay.call(&login(exporter)).await.expect("answers");
        assert_eq!(code, ReturnCode::InvalidArgument, "{} bytes", exporter.len());
    }
    assert_eq!(relay.call(&HsmInfoRequest {}).await.expect("answers"), ReturnCode::Success);
    target.still_serves("relayed logins").await;
    assert_eq!(relay.call(&login(&own)).await.expect("answers"), ReturnCode::Success, "the control");
}
