//! Reads the Secret `<clusterId>-client`: how this gateway authenticates to a cluster, and what it trusts there.

use std::sync::Arc;

use hsm_client::pki::PrivateKeyPem;
use hsm_client::{ClientIdentity, TrustAnchor};
use thiserror::Error;

use super::secrets::Entries;

/// What follows the cluster id in the Secret's name.
pub(super) const SUFFIX: &str = "-client";

/// The gateway's identity towards one cluster.
#[derive(Clone)]
pub(super) struct ClusterIdentity {
    pub(super) identity: Arc<ClientIdentity>,
    pub(super) anchor: TrustAnchor,
}

/// Why a Secret is no client identity. Nothing of its content is repeated.
#[derive(Debug, Error)]
pub(super) enum IdentityError {
    #[error("failed to find the entry {0}")]
    Missing(&'static str),
    #[error("failed to read the client certificate or key")]
    Certificate(#[source] hsm_client::pki::PkiError),
    #[error("failed to read the trust anchor")]
    Anchor(#[source] hsm_client::tls::TrustAnchorError),
}

/// Reads the entries `tls.crt`, `tls.key` and `trust-anchor.crt`.
pub(super) fn read(data: &Entries) -> Result<ClusterIdentity, IdentityError> {
    let certificate = data.text("tls.crt").ok_or(IdentityError::Missing("tls.crt"))?;
    let key = data.secret("tls.key").ok_or(IdentityError::Missing("tls.key"))?;
    let anchor = data.text("trust-anchor.crt").ok_or(IdentityError::Missing("trust-anchor.crt"))?;
    let key = PrivateKeyPem::parse(key).map_err(IdentityError::Certificate)?;
    let identity = ClientIdentity::from_pem(certificate, &key).map_err(IdentityError::Certificate)?;
    let anchor = TrustAnchor::parse(anchor).map_err(IdentityError::Anchor)?;
    Ok(ClusterIdentity { identity: Arc::new(identity), anchor })
}
