//! Port 2223: outer TLS with the host certificate and client certificates of the customer CA (HSM-10, HSM-11), inner
//! TLS with the cluster certificate (HSM-13).

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::{TlsError, VERSIONS, provider, without_resumption};

/// Outer layer.
///
/// # Errors
/// [`TlsError`] if key, certificate or trust anchor cannot be used.
pub(crate) fn outer(
    host_key: &[u8],
    host_certificate: &[u8],
    trust_anchor: &[u8],
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(trust_anchor.to_vec()))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| TlsError::Malformed("the trust anchor"))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![CertificateDer::from(host_certificate.to_vec())], private_key(host_key))?;
    Ok(without_resumption(config))
}

/// Inner layer. The certificate is used as it is: the owner may have signed it as X.509 v1, which rustls' own
/// constructor refuses (UG:initialize-cluster).
///
/// # Errors
/// [`TlsError`] if the key cannot be used.
pub(crate) fn inner(cluster_key: &[u8], cluster_certificate: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let signer = provider().key_provider.load_private_key(private_key(cluster_key))?;
    let certified = CertifiedKey::new(vec![CertificateDer::from(cluster_certificate.to_vec())], signer);
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certified))));
    Ok(without_resumption(config))
}

/// Copies a PKCS #8 key for rustls.
pub(super) fn private_key(pkcs8: &[u8]) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()))
}

/// Presents the one certificate there is.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
