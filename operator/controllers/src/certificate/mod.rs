//! Certificates of the gateway: the one it serves with, and per cluster the one it opens HSM sessions with. Made and renewed without a person.
//!
//! Secrets cannot be watched (D10), so [`run`] looks at the serving certificate at every resync; a deleted one is back within that time.

pub mod client;
mod serving;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hsm_client::pki::{self, PkiError, PrivateKeyPem};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::leader::NotLeader;
use crate::report::{Controller, Failure, Retry, chain};
use crate::secrets::{SecretData, SecretError};

/// A certificate could not be made or stored.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// See [`SecretError`].
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// See [`PkiError`].
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// See [`NotLeader`].
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
}

impl Failure for CertificateError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Secret(error) => error.reason(),
            Self::Pki(_) => "CertificateFailed",
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
            Ok(()) => {
                failures = 0;
                context.settings.resync
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

/// Whether a certificate has used up two thirds of `lifetime`, or cannot be read at all.
fn is_due(certificate: &str, lifetime: Duration, now: SystemTime) -> bool {
    match pki::expiry(certificate) {
        Ok(end) => end.duration_since(now).map_or(true, |left| left < lifetime / 3),
        Err(_) => true,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use hsm_client::pki::CertificateAuthority;

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        let now = SystemTime::now();
        let issued = CertificateAuthority::generate_operator("test", now).unwrap();
        let authority = CertificateAuthority::load(&issued.certificate, &issued.key).unwrap();
        let life = Duration::from_secs(90 * 86_400);
        let leaf = authority.issue_server(&["localhost".to_owned()], now, life).unwrap();
        assert!(!is_due(&leaf.certificate, life, now + life / 2));
        assert!(is_due(&leaf.certificate, life, now + life * 7 / 10));
        assert!(is_due(&leaf.certificate, life, now + life * 2));
        assert!(is_due("nonsense", life, now));
    }
}
