//! Client certificates for the key port 2223, issued by a cluster's customer CA: the gateway's and the renewal of the controllers' own.
//!
//! A renewed certificate keeps its key, because delegates bind to the public key (architecture, "Roles of client certificates"): a
//! connected store goes on without a new connect.

use std::time::{Duration, SystemTime};

use hsm_client::pki::{CertificateAuthority, ClientRole};

use super::{CertificateError, is_due, private_key, text};
use crate::secrets::{SecretData, SecretStore};

const LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// Secret of the gateway's client certificate for a cluster, in the gateway namespace.
#[must_use]
pub fn gateway_name(cluster_id: &str) -> String {
    format!("{cluster_id}-client")
}

/// Entries of a Secret with a client certificate.
pub const CERTIFICATE: &str = "tls.crt";
/// Private key.
pub const PRIVATE_KEY: &str = "tls.key";
/// The customer CA's certificate, against which the cluster certificate of the inner layer is verified.
pub const TRUST_ANCHOR: &str = "trust-anchor.crt";

/// Makes the client certificate in Secret `namespace/name`, or renews it when a third of its life is left.
///
/// # Errors
/// See [`CertificateError`].
pub async fn ensure(
    secrets: &SecretStore,
    namespace: &str,
    name: &str,
    labels: &[(&str, &str)],
    authority: &CertificateAuthority,
    role: ClientRole,
    now: SystemTime,
) -> Result<(), CertificateError> {
    let present = secrets.read(namespace, name).await?;
    let Some(stored) = present else {
        let issued = authority.issue_client(role, name, now)?;
        let data = entries(&issued.certificate, issued.key.expose(), authority.certificate());
        secrets.put_if_absent(namespace, name, labels, data).await?;
        return Ok(());
    };
    if !is_due(text(name, &stored.data, CERTIFICATE)?, LIFETIME, now) {
        return Ok(());
    }
    let key = private_key(name, &stored.data, PRIVATE_KEY)?;
    let certificate = authority.renew_client(role, name, &key, now)?;
    secrets.replace(namespace, name, &stored, entries(&certificate, key.expose(), authority.certificate())).await?;
    tracing::info!(secret = name, "renewed a client certificate");
    Ok(())
}

fn entries(certificate: &str, key: &str, anchor: &str) -> SecretData {
    SecretData::default().with(CERTIFICATE, certificate).with(PRIVATE_KEY, key).with(TRUST_ANCHOR, anchor)
}
