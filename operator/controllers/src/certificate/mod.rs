//! Every certificate that ends before its cluster does, made and renewed without a person: the gateway's for HTTPS, the gateway's and the
//! controllers' for HSM sessions, the HSM pods' for provisioning. `docs/certificates.md` lists them with their lifetimes.
//!
//! Secrets cannot be watched (D10), so [`run`] looks at the serving certificate when it is due and at every resync; a deleted one is back
//! within that time. The others are kept by their cluster's controller.

pub mod client;
pub mod expiry;
pub mod gateway_client;
pub mod pods;
mod serving;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hsm_client::pki::{self, PkiError, PrivateKeyPem};
use operator_domain::Timestamp;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::leader::NotLeader;
use crate::read::ReadError;
use crate::report::{Controller, Failure, Retry, chain};
use crate::secrets::{SecretData, SecretError, SecretStore};

/// A certificate could not be made or stored.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// See [`SecretError`].
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// See [`PkiError`].
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// See [`ReadError`].
    #[error(transparent)]
    Read(#[from] ReadError),
    /// See [`NotLeader`].
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
}

impl Failure for CertificateError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Secret(error) => error.reason(),
            Self::Pki(_) => "CertificateFailed",
            Self::Read(error) => error.reason(),
            Self::NotLeader(_) => "NotLeader",
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Keeps the gateway's serving certificate valid until `stop`.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut failures = 0u32;
    loop {
        let pause = match serving::ensure(&context, SystemTime::now()).await {
            Ok(due) => {
                failures = 0;
                due.min(context.settings.resync)
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                let (controller, reason) = (Controller::Certificate.name(), error.reason());
                context.metrics.failures.with_label_values(&[controller, reason]).inc();
                tracing::warn!(controller, reason, error = chain(&error), "failed to provide the serving certificate");
                Duration::from_secs(1 << failures.min(6)).min(Duration::from_secs(60))
            }
        };
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(pause) => {} }
    }
}

/// When a certificate ends.
fn end_of(certificate: &str) -> Result<Timestamp, PkiError> {
    pki::expiry(certificate).map(time_of)
}

/// When the certificate in an entry of a Secret ends; `None` when there is none.
pub(crate) async fn stored_end(
    secrets: &SecretStore,
    namespace: &str,
    name: &str,
    entry: &str,
) -> Result<Option<Timestamp>, CertificateError> {
    let stored = secrets.read(namespace, name).await?;
    let certificate = stored.as_ref().and_then(|stored| stored.data.text(entry));
    Ok(certificate.map(end_of).transpose()?)
}

/// The core's form of a time.
pub(crate) fn time_of(time: SystemTime) -> Timestamp {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// How long from `now` until `then`, and a little more: certificates count whole seconds.
pub(crate) fn until(then: Timestamp, now: SystemTime) -> Duration {
    let seconds = then.as_unix_seconds().saturating_sub(time_of(now).as_unix_seconds());
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default()) + Duration::from_millis(200)
}

/// The private key in entry `key`.
fn private_key(name: &str, data: &SecretData, key: &str) -> Result<PrivateKeyPem, CertificateError> {
    let malformed = || SecretError::Entry { name: name.into(), key: key.into() };
    let text = data.text(key).ok_or_else(malformed)?;
    Ok(PrivateKeyPem::parse(Zeroizing::new(text.to_owned()))?)
}

/// The text in entry `key`.
fn text<'a>(name: &str, data: &'a SecretData, key: &str) -> Result<&'a str, SecretError> {
    data.text(key).ok_or_else(|| SecretError::Entry { name: name.into(), key: key.into() })
}
