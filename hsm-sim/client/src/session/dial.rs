//! Dialling: TCP, the outer TLS layer, and the inner one inside it; each phase with its own time limit.

use super::connect_error::ConnectError;
use crate::endpoint::HsmEndpoint;
use crate::tls::{ClientIdentity, TrustAnchor, inner_config, outer_config};
use hsm_protocol::labels::{EXPORTER_LENGTH, HELLO_EXPORTER, HOST_NAME, OUTER_EXPORTER};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ClientConnection};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The nested stream and what binds statements to its two layers.
pub(super) struct Dialled {
    pub(super) stream: TlsStream<TlsStream<TcpStream>>,
    pub(super) outer_exporter: [u8; EXPORTER_LENGTH],
    pub(super) inner_exporter: [u8; EXPORTER_LENGTH],
}

pub(super) async fn dial(
    endpoint: &HsmEndpoint,
    identity: &ClientIdentity,
    anchor: &TrustAnchor,
    timeout: Duration,
) -> Result<Dialled, ConnectError> {
    let outer = outer_config(identity, endpoint.host_certificate_fingerprint)?;
    let inner = inner_config(anchor)?;
    let tcp = within(timeout, TcpStream::connect(endpoint.address)).await.map_err(ConnectError::Tcp)?;
    tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
    let outer = within(timeout, handshake(outer, tcp)).await.map_err(ConnectError::OuterTls)?;
    let outer_exporter = export(outer.get_ref().1, OUTER_EXPORTER).map_err(ConnectError::OuterTls)?;
    let inner = within(timeout, handshake(inner, outer)).await.map_err(inner_failure)?;
    let inner_exporter = export(inner.get_ref().1, HELLO_EXPORTER).map_err(ConnectError::InnerTls)?;
    Ok(Dialled { stream: inner, outer_exporter, inner_exporter })
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(config: ClientConfig, stream: S) -> io::Result<TlsStream<S>> {
    // The name is sent but never compared: certificates are pinned (outer) or recognised by their issuer (inner).
    let name = ServerName::try_from(HOST_NAME).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn export(connection: &ClientConnection, label: &[u8]) -> io::Result<[u8; EXPORTER_LENGTH]> {
    connection.export_keying_material([0; EXPORTER_LENGTH], label, None).map_err(io::Error::other)
}

async fn within<T>(timeout: Duration, phase: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(timeout, phase).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// In TLS 1.3 the server looks at our client certificate after we think the outer handshake is over, so its refusal
/// arrives while the inner one is under way. Only the outer layer has a client certificate to refuse (HSM-14).
fn inner_failure(source: io::Error) -> ConnectError {
    let refused_certificate =
        source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some_and(|error| {
            matches!(
                error,
                rustls::Error::AlertReceived(
                    AlertDescription::UnknownCA
                        | AlertDescription::BadCertificate
                        | AlertDescription::UnsupportedCertificate
                        | AlertDescription::CertificateRevoked
                        | AlertDescription::CertificateExpired
                        | AlertDescription::CertificateUnknown
                        | AlertDescription::CertificateRequired
                        | AlertDescription::AccessDenied
                        | AlertDescription::DecryptError
                )
            )
        });
    if refused_certificate { ConnectError::OuterTls(source) } else { ConnectError::InnerTls(source) }
}
