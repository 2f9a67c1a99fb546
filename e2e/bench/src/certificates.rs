//! Certificates of one run: made at its start, known to it only.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use hsm_client::ClientRole;
use hsm_client::pki::{CertificateAuthority, Issued};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

/// The name in every serving certificate.
pub(crate) const NAME: &str = "localhost";

/// A certificate, its key, and the authority that issued it, all PEM. Has no `Debug`: it holds a key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Credentials {
    fn new(authority: &str, issued: &Issued) -> Self {
        Self {
            authority: authority.to_owned(),
            certificate: issued.certificate.clone(),
            key: issued.key.expose().to_owned(),
        }
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>> {
        Ok(vec![CertificateDer::from_pem_slice(self.certificate.as_bytes())?])
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes())?)?;
        Ok(roots)
    }

    /// A TLS 1.3 server; with `clients`, one that demands a certificate of the same authority.
    pub(crate) fn server(&self, clients: bool) -> Result<Arc<ServerConfig>> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = if clients {
            let roots = Arc::new(self.roots()?);
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        Ok(Arc::new(builder.with_single_cert(self.chain()?, PrivateKeyDer::from_pem_slice(self.key.as_bytes())?)?))
    }

    /// A TLS 1.3 client of servers of the same authority; with `authenticates`, one that shows this certificate.
    pub(crate) fn client(&self, authenticates: bool) -> Result<Arc<ClientConfig>> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(self.roots()?);
        Ok(Arc::new(if authenticates {
            builder.with_client_auth_cert(self.chain()?, PrivateKeyDer::from_pem_slice(self.key.as_bytes())?)?
        } else {
            builder.with_no_client_auth()
        }))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Credentials of a server named [`NAME`] and of a client, of one new authority.
///
/// # Errors
/// When the operating system has no randomness to give.
pub(crate) fn make() -> Result<(Credentials, Credentials)> {
    let now = SystemTime::now();
    let made = CertificateAuthority::generate_operator("bench", now)?;
    let authority = CertificateAuthority::load(&made.certificate, &made.key)?;
    let server = authority.issue_server(&[NAME.to_owned()], now, Duration::from_secs(24 * 3_600))?;
    let client = authority.issue_client(ClientRole::Gateway, "bench", now)?;
    Ok((Credentials::new(&made.certificate, &server), Credentials::new(&made.certificate, &client)))
}
