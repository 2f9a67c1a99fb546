//! The two nested TLS layers of port 2223 and the single one of the provisioning port, client side.
//!
//! Security (T-09, INV-65): TLS 1.3 only, no resumption and no early data on any of them; a connection that passes
//! the outer layer alone can send no command.

mod client_identity;
mod cluster_verifier;
mod host_verifier;
mod issued_by_anchor;
mod provisioning;
mod trust_anchor;

pub use client_identity::ClientIdentity;
pub use issued_by_anchor::{ClusterCertificateError, cluster_certificate_fingerprint, verify_cluster_certificate};
pub use trust_anchor::{TrustAnchor, TrustAnchorError};

pub(crate) use cluster_verifier::inner_config;
pub(crate) use host_verifier::outer_config;
pub(crate) use provisioning::provisioning_config;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;

/// A TLS configuration could not be built from an identity that had been accepted before.
#[derive(Debug, thiserror::Error)]
#[error("failed to prepare the TLS layer")]
pub struct TlsSetupError(#[from] rustls::Error);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What a verifier says about a TLS 1.2 signature, which no handshake of ours can reach.
fn only_tls13() -> rustls::Error {
    rustls::Error::General("only TLS 1.3 is spoken here".into())
}

/// TLS 1.3 only, `verifier` decides about the server, `identity` (if any) proves who we are, nothing is resumed.
fn client_config(
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, TlsSetupError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain(), identity.key())?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
mod tests;
