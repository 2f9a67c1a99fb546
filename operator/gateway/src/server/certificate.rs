//! The serving certificate, replaceable while serving: new handshakes see a new certificate at once, open connections
//! are left alone.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// Why a certificate cannot be served. The one in use, if any, stays.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The certificate chain is not PEM, or is empty.
    #[error("failed to read the serving certificate")]
    Certificate,
    /// The key is not PEM of a private key. Nothing of it is repeated.
    #[error("failed to read the serving key")]
    Key,
    /// The key is not the certificate's, or of an unsupported kind.
    #[error("failed to use the serving key with its certificate: {0}")]
    Mismatch(rustls::Error),
    /// The provider has no TLS 1.3.
    #[error("failed to configure TLS: {0}")]
    Configuration(rustls::Error),
}

/// Holder of the certificate that handshakes are answered with.
#[derive(Debug)]
pub struct ServingCertificate {
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
    configuration: Arc<ServerConfig>,
}

#[derive(Debug, Default)]
struct Current(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl ServingCertificate {
    /// A holder with no certificate yet: handshakes fail until [`Self::install`].
    ///
    /// # Errors
    /// When the crypto provider has no TLS 1.3.
    pub fn new() -> Result<Self, CertificateError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let current = Arc::new(Current::default());
        let mut configuration = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(CertificateError::Configuration)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { current, provider, configuration: Arc::new(configuration) })
    }

    /// Serves this certificate chain and key, both PEM, from the next handshake on.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together; the present certificate then stays in use.
    pub fn install(&self, certificate_pem: &[u8], key_pem: &[u8]) -> Result<(), CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate_pem)
            .collect::<Result<_, _>>()
            .map_err(|_| CertificateError::Certificate)?;
        if chain.is_empty() {
            return Err(CertificateError::Certificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| CertificateError::Key)?;
        let certified = CertifiedKey::from_der(chain, key, &self.provider).map_err(CertificateError::Mismatch)?;
        self.current.0.store(Some(Arc::new(certified)));
        Ok(())
    }

    /// When the certificate in use ends, in seconds since 1970; `None` while there is none.
    pub fn end(&self) -> Option<i64> {
        let certified = self.current.0.load_full()?;
        let (_, certificate) = x509_parser::parse_x509_certificate(certified.cert.first()?).ok()?;
        Some(certificate.validity().not_after.timestamp())
    }

    /// Whether there is a certificate to serve.
    pub fn is_installed(&self) -> bool {
        self.current.0.load().is_some()
    }

    /// Answers handshakes with what this holder holds at the time.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.configuration))
    }
}
