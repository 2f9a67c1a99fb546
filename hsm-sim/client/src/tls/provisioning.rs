//! The provisioning listener (port 2224): mutual TLS under the per-cluster operator CA (D7).

use super::{ClientIdentity, TlsSetupError, client_config, provider};
use hsm_protocol::labels::ALPN_PROVISIONING;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::sync::Arc;

/// The provisioning configuration: the pod's certificate must come from `operator_ca` (PEM) and carry its name.
pub(crate) fn provisioning_config(identity: &ClientIdentity, operator_ca: &str) -> Result<ClientConfig, TlsSetupError> {
    let root = CertificateDer::from_pem_slice(operator_ca.as_bytes())
        .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|source| rustls::Error::General(source.to_string()))?;
    let mut config = client_config(verifier, Some(identity))?;
    config.alpn_protocols = vec![ALPN_PROVISIONING.to_vec()];
    Ok(config)
}
