//! TLS of the two ports. TLS 1.3 only, no resumption, no tickets, no early data (INV-65).

pub(crate) mod certificate;
pub(crate) mod client_port;
pub(crate) mod peer_port;
pub(crate) mod pinned;
pub(crate) mod pod_certificate;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;

/// Why a TLS configuration or certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// rustls refuses it.
    #[error("failed to build a TLS configuration")]
    Rustls(#[from] rustls::Error),
    /// A certificate cannot be made.
    #[error("failed to make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A certificate or key cannot be read.
    #[error("failed to read {0}")]
    Malformed(&'static str),
}

/// The one crypto provider.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Versions both ports speak.
pub(crate) const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A session ends with its connection: nothing to resume from.
pub(crate) fn without_resumption(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Arc::new(config)
}
