//! Accepts connections on the two TLS ports. No byte of a command is read before the handshakes are done (INV-65).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hsm_protocol::ClientRole;
use hsm_protocol::labels::{ALPN_PEER, ALPN_PROVISIONING, EXPORTER_LENGTH, HELLO_EXPORTER, OUTER_EXPORTER};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dispatch::ClientPort;
use crate::hsm::Hsm;
use crate::provisioning::ProvisioningPort;
use crate::refusals::Refused;
use crate::replication::answering::PeerPort;
use crate::session::{Ending, drive};
use crate::sessions::ClientProof;
use crate::tls::certificate::{organizational_unit, spki_sha256};

/// Open connections per port.
const MAX_CONNECTIONS: usize = 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);

/// TLS configurations of port 2224.
pub(crate) struct PeerPortConfigs {
    /// ALPN keystores-provisioning/1.
    pub(crate) provisioning: Arc<ServerConfig>,
    /// ALPN keystores-peer/1.
    pub(crate) peer: Arc<ServerConfig>,
}

/// What an accepted connection is served with.
pub(crate) enum Port {
    /// 2223.
    Client,
    /// 2224.
    Peer(PeerPortConfigs),
}

/// Accepts until `shutdown`, then waits for the open sessions. Requests that take longer than microseconds run on `slow`.
pub(crate) async fn listen(
    hsm: Arc<Hsm>,
    listener: TcpListener,
    port: Port,
    shutdown: CancellationToken,
    slow: Handle,
) {
    let (slots, port, sessions) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), Arc::new(port), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            // Out of file descriptors, or a client that gave up: neither gets better by spinning.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            hsm.refusals.note(Refused::Connection, Some(&address), format_args!("too many are open"));
            continue;
        };
        let (hsm, port, shutdown, slow) = (Arc::clone(&hsm), Arc::clone(&port), shutdown.clone(), slow.clone());
        sessions.spawn(async move {
            let _slot = slot;
            if let Err(error) = serve(&hsm, stream, address, &port, shutdown, slow).await {
                hsm.refusals.note(Refused::Handshake, Some(&address), format_args!("{}: {error}", port.name()));
            }
        });
    }
    sessions.close();
    sessions.wait().await;
}

impl Port {
    fn name(&self) -> &'static str {
        match self {
            Self::Client => "client port",
            Self::Peer(_) => "provisioning and peer port",
        }
    }
}

async fn serve(
    hsm: &Arc<Hsm>,
    stream: TcpStream,
    address: SocketAddr,
    port: &Port,
    shutdown: CancellationToken,
    slow: Handle,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    keep_alive(&stream)?;
    let hsm = Arc::clone(hsm);
    match port {
        Port::Client => serve_client(hsm, stream, address, shutdown, slow).await,
        Port::Peer(configs) => serve_peer(hsm, stream, address, configs, shutdown, slow).await,
    }
}

/// A client whose host died must not stay logged in for ever: noticed after about 40 seconds.
fn keep_alive(stream: &TcpStream) -> std::io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(20))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepcnt(stream, 4)?;
    Ok(())
}

async fn serve_client(
    hsm: Arc<Hsm>,
    stream: TcpStream,
    address: SocketAddr,
    shutdown: CancellationToken,
    slow: Handle,
) -> std::io::Result<()> {
    let cluster = hsm.cluster().map_err(|_| refused("there is no customer CA before initialisation"))?;
    let handshakes = async {
        let outer = TlsAcceptor::from(Arc::clone(&cluster.outer)).accept(stream).await?;
        let (role, spki_sha256) = client_of(&outer)?;
        if role == ClientRole::Provisioning {
            return Err(refused("a provisioning certificate is for the provisioning port"));
        }
        let outer_exporter = exporter(&outer, OUTER_EXPORTER)?;
        let inner = TlsAcceptor::from(Arc::clone(&cluster.inner)).accept(outer).await?;
        let hello_exporter = exporter(&inner, HELLO_EXPORTER)?;
        Ok((inner, ClientProof { address, role, spki_sha256, hello_exporter, outer_exporter }))
    };
    let (stream, client) = tokio::time::timeout(HANDSHAKE, handshakes).await??;
    let closed = CancellationToken::new();
    let session = hsm.sessions.open(client, closed.clone());
    let handler = Arc::new(ClientPort::new(Arc::clone(&hsm), Arc::clone(&session)));
    drive(stream, handler, Ending { closed, shutdown }, slow).await;
    hsm.sessions.close(&session);
    Ok(())
}

async fn serve_peer(
    hsm: Arc<Hsm>,
    stream: TcpStream,
    address: SocketAddr,
    configs: &PeerPortConfigs,
    shutdown: CancellationToken,
    slow: Handle,
) -> std::io::Result<()> {
    let handshake = async {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let offered = start.client_hello().alpn().is_some_and(|mut names| names.any(|name| name == ALPN_PEER));
        let config = if offered { &configs.peer } else { &configs.provisioning };
        start.into_stream(Arc::clone(config)).await
    };
    let stream = tokio::time::timeout(HANDSHAKE, handshake).await??;
    let ending = Ending { closed: CancellationToken::new(), shutdown };
    match stream.get_ref().1.alpn_protocol() {
        Some(name) if name == ALPN_PEER => {
            let exported = exporter(&stream, HELLO_EXPORTER)?;
            let peer = PeerPort::new(hsm, address, certificate_of(&stream)?, exported);
            drive(stream, Arc::new(peer.map_err(std::io::Error::other)?), ending, slow).await;
            Ok(())
        }
        Some(name) if name == ALPN_PROVISIONING => {
            if client_of(&stream)?.0 != ClientRole::Provisioning {
                return Err(refused("only a provisioning certificate may use the provisioning port"));
            }
            drive(stream, Arc::new(ProvisioningPort::new(hsm, address)), ending, slow).await;
            Ok(())
        }
        Some(_) | None => Err(refused("no protocol was agreed on")),
    }
}

fn certificate_of<S>(stream: &TlsStream<S>) -> std::io::Result<&[u8]> {
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    certificate.map(|certificate| &certificate[..]).ok_or_else(|| refused("no client certificate"))
}

fn client_of<S>(stream: &TlsStream<S>) -> std::io::Result<(ClientRole, [u8; 32])> {
    let certificate = certificate_of(stream)?;
    let role = organizational_unit(certificate).and_then(|unit| ClientRole::from_organizational_unit(&unit));
    let role = role.ok_or_else(|| refused("the client certificate states no role"))?;
    Ok((role, spki_sha256(certificate).map_err(std::io::Error::other)?))
}

fn exporter<S>(stream: &TlsStream<S>, label: &[u8]) -> std::io::Result<[u8; EXPORTER_LENGTH]> {
    let exported = stream.get_ref().1.export_keying_material([0; EXPORTER_LENGTH], label, None);
    exported.map_err(std::io::Error::other)
}

fn refused(why: &'static str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::PermissionDenied, why)
}

/// Binds a listener.
///
/// # Errors
/// The system's.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
