//! The asking side of a peer connection: one request at a time.

use std::sync::Arc;

use bytes::BytesMut;
use hsm_protocol::frame::{put_request, take_frame};
use hsm_protocol::labels::{EXPORTER_LENGTH, HELLO_EXPORTER};
use hsm_protocol::message::{HsmState, PeerHelloReply, PeerHelloRequest, RosterMember};
use hsm_protocol::{Request, ReturnCode};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::rollback::RolledBack;
use crate::hsm::Hsm;
use crate::tls::peer_port::peer_client;

const CONNECT: Duration = Duration::from_secs(3);
const CALL: Duration = Duration::from_secs(20);

/// Why a peer could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// Connection or handshake.
    #[error("failed to reach the peer")]
    Unreachable(#[from] std::io::Error),
    /// It took too long.
    #[error("failed to reach the peer in time")]
    TimedOut,
    /// Bytes that are no answer.
    #[error("failed to read the peer's answer")]
    Protocol,
    /// The peer, or this HSM's own store, refuses.
    #[error("failed: refused with {}", .0.name())]
    Refused(ReturnCode),
    /// The peer makes keys faster than this HSM pulls them, or they differ.
    #[error("failed to become equal with the peer")]
    Diverged,
    /// The peer has seen a later state of this HSM's volume; the process must stop.
    #[error(transparent)]
    RolledBack(#[from] RolledBack),
}

impl From<ReturnCode> for PeerError {
    fn from(code: ReturnCode) -> Self {
        Self::Refused(code)
    }
}

/// A connection to one peer, pinned to its identity key.
pub(crate) struct PeerConnection {
    stream: TlsStream<TcpStream>,
    next_id: u64,
    /// Exported from this TLS session; binds the exchange of secrets to it.
    pub(crate) exporter: [u8; EXPORTER_LENGTH],
    /// Who is at the other end.
    pub(crate) hsm_id: String,
}

impl PeerConnection {
    /// Connects and verifies that the peer has the identity key of the roster.
    ///
    /// # Errors
    /// [`PeerError::Unreachable`], [`PeerError::TimedOut`].
    pub(crate) async fn open(hsm: &Hsm, peer: &RosterMember) -> Result<Self, PeerError> {
        let expected = peer.identity_spki_sha256.clone();
        let row = hsm.identity.row();
        let admission = Arc::new(move |key: &[u8; 32]| key[..] == expected[..]);
        let config = peer_client(&row.identity_key, &row.identity_certificate, admission);
        let config = config.map_err(std::io::Error::other)?;
        let connect = async {
            let tcp = TcpStream::connect(&peer.address).await?;
            tcp.set_nodelay(true)?;
            // The name is not checked: the identity key is.
            let name = ServerName::try_from("peer").map_err(std::io::Error::other)?;
            TlsConnector::from(config).connect(name, tcp).await
        };
        let stream = timeout(CONNECT, connect).await.map_err(|_| PeerError::TimedOut)??;
        let exporter = stream.get_ref().1.export_keying_material([0; EXPORTER_LENGTH], HELLO_EXPORTER, None);
        let exporter = exporter.map_err(std::io::Error::other)?;
        Ok(Self { stream, next_id: 0, exporter, hsm_id: peer.hsm_id.clone() })
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// [`PeerError`]; after anything but [`PeerError::Refused`] the connection must be dropped.
    pub(crate) async fn call<R: Request>(&mut self, request: &R) -> Result<R::Reply, PeerError> {
        timeout(CALL, self.exchange(request)).await.map_err(|_| PeerError::TimedOut)?
    }

    async fn exchange<R: Request>(&mut self, request: &R) -> Result<R::Reply, PeerError> {
        self.next_id += 1;
        let mut buffer = BytesMut::new();
        put_request(&mut buffer, R::COMMAND, self.next_id, 0, request).map_err(|_| PeerError::Protocol)?;
        self.stream.write_all(&buffer).await?;
        self.stream.flush().await?;
        buffer.clear();
        let frame = loop {
            if let Some(frame) = take_frame(&mut buffer).map_err(|_| PeerError::Protocol)? {
                break frame;
            }
            if self.stream.read_buf(&mut buffer).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        };
        if frame.header.request_id != self.next_id {
            return Err(PeerError::Protocol);
        }
        match ReturnCode::from_u32(frame.header.word).ok_or(PeerError::Protocol)? {
            ReturnCode::Success => <R::Reply as prost::Message>::decode(frame.body).map_err(|_| PeerError::Protocol),
            code => Err(PeerError::Refused(code)),
        }
    }

    /// Who is there, and how far.
    ///
    /// # Errors
    /// [`PeerError`]; [`PeerError::Protocol`] if it is not the HSM the roster names, or of another cluster.
    pub(crate) async fn hello(&mut self, hsm: &Hsm) -> Result<PeerHelloReply, PeerError> {
        let member = hsm.member();
        let request =
            PeerHelloRequest { hsm_id: member.hsm_id().to_owned(), cluster_id: member.cluster_id().to_owned() };
        let reply = self.call(&request).await?;
        let expected = reply.hsm_id == self.hsm_id && reply.cluster_id == member.cluster_id();
        if expected { Ok(reply) } else { Err(PeerError::Protocol) }
    }
}

/// State of a peer.
///
/// # Errors
/// [`PeerError`] if it cannot be asked.
pub(crate) async fn state_of(hsm: &Hsm, peer: &RosterMember) -> Result<HsmState, PeerError> {
    Ok(PeerConnection::open(hsm, peer).await?.hello(hsm).await?.state())
}
