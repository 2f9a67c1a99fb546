//! The controllers' own client certificate for the key port 2223, issued by a cluster's customer CA.
//!
//! A renewed certificate keeps its key: the HSMs take sessions of another key for foreign ones (D12), and a new key would make the
//! controllers strangers to their own sessions. The gateway's key changes at every renewal, see [`super::gateway_client`].

use std::time::SystemTime;

use hsm_client::pki::{CertificateAuthority, ClientRole};
use hsm_initialization::custody::entry::{CERTIFICATE, PRIVATE_KEY, TRUST_ANCHOR};
use operator_domain::Timestamp;
use operator_domain::certificate::Term;

use super::{CertificateError, end_of, private_key, text, time_of};
use crate::secrets::{SecretData, SecretStore};

/// Renews the client certificate in Secret `namespace/name` when it is due. Returns its end; `None` while the initialisation has not made it.
///
/// # Errors
/// See [`CertificateError`].
pub async fn renew(
    secrets: &SecretStore,
    namespace: &str,
    name: &str,
    authority: &CertificateAuthority,
    term: Term,
    now: SystemTime,
) -> Result<Option<Timestamp>, CertificateError> {
    let Some(stored) = secrets.read(namespace, name).await? else { return Ok(None) };
    let end = end_of(text(name, &stored.data, CERTIFICATE)?)?;
    if !term.is_due(end, time_of(now)) {
        return Ok(Some(end));
    }
    let key = private_key(name, &stored.data, PRIVATE_KEY)?;
    let certificate = authority.renew_client(ClientRole::Controllers, name, &key, now, term.lifetime())?;
    let end = end_of(&certificate)?;
    let data = SecretData::default()
        .with(CERTIFICATE, certificate)
        .with(PRIVATE_KEY, key.expose())
        .with(TRUST_ANCHOR, authority.certificate());
    secrets.replace(namespace, name, &stored, data).await?;
    tracing::info!(secret = name, "renewed the controllers' client certificate");
    Ok(Some(end))
}
