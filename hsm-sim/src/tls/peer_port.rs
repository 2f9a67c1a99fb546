//! Port 2224: one listener, two protocols chosen by ALPN, each with its own certificate and its own idea of a client.

use std::sync::Arc;

use hsm_protocol::labels::{ALPN_PEER, ALPN_PROVISIONING};
use rustls::pki_types::CertificateDer;
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::client_port::private_key;
use super::pinned::{Admission, Pinned};
use super::pod_certificate::PodCertificate;
use super::{TlsError, VERSIONS, provider, without_resumption};

/// The pod's certificate and the CA that issued it and the operator's client certificate (D7).
pub(crate) struct PodCredentials {
    /// What the provisioning listener presents.
    pub(crate) certificate: Arc<PodCertificate>,
    /// The operator CA, DER.
    pub(crate) operator_ca: CertificateDer<'static>,
}

/// Provisioning: the operator CA on both sides.
///
/// # Errors
/// [`TlsError`] if a certificate or the key cannot be used.
pub(crate) fn provisioning(pod: &PodCredentials) -> Result<Arc<ServerConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(pod.operator_ca.clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| TlsError::Malformed("the operator CA"))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(&pod.certificate) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![ALPN_PROVISIONING.to_vec()];
    Ok(without_resumption(config))
}

/// Peers, answering side.
///
/// # Errors
/// [`TlsError`] if the identity cannot be used.
pub(crate) fn peer_server(
    identity_key: &[u8],
    identity_certificate: &[u8],
    admission: Admission,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(Pinned::new(admission))
        .with_single_cert(vec![CertificateDer::from(identity_certificate.to_vec())], private_key(identity_key))?;
    config.alpn_protocols = vec![ALPN_PEER.to_vec()];
    Ok(without_resumption(config))
}

/// Peers, asking side.
///
/// # Errors
/// [`TlsError`] if the identity cannot be used.
pub(crate) fn peer_client(
    identity_key: &[u8],
    identity_certificate: &[u8],
    admission: Admission,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Pinned::new(admission))
        .with_client_auth_cert(vec![CertificateDer::from(identity_certificate.to_vec())], private_key(identity_key))?;
    config.alpn_protocols = vec![ALPN_PEER.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}
