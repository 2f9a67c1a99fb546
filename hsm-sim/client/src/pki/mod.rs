//! Certificates the operator makes: authorities, client and pod certificates, signatures over membership.
//!
//! Everything issued here is X.509 v3 (architecture, "Roles of client certificates"); only the *verifier* in
//! [`crate::tls`] also takes the version 1 certificates that the CloudHSM guide's own commands produce.
//! Time is an argument everywhere, so that expiry can be tested without waiting.

mod authority;
mod client_certificate;
mod cluster_certificate;
mod inspect;
mod membership;
mod pod_certificate;
mod private_key;
mod server_certificate;

pub use authority::CertificateAuthority;
pub use hsm_protocol::ClientRole;
pub use inspect::{certificate_fingerprint, certificates, expiry, public_key_fingerprint, sha256};
pub use membership::{Member, SignedStatement, roster_body};
pub use private_key::PrivateKeyPem;

pub(crate) use inspect::certificate_pem;

use std::time::{Duration, SystemTime};

/// A certificate and the private key that belongs to it.
///
/// Security: holds a private key, so it has neither `Debug` nor `Clone`.
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its private key, PKCS#8 PEM, wiped on drop.
    pub key: PrivateKeyPem,
}

/// Why a certificate could not be made or read. Never contains key material.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The certificate library refused; its message names no secret.
    #[error("failed to {action}")]
    Library {
        /// What was attempted, for example `sign the cluster certificate`.
        action: &'static str,
        /// What the library said.
        source: rcgen::Error,
    },
    /// Bytes from a Secret, a peer or a user are not what they should be.
    #[error("failed to read {what}: {reason}")]
    Malformed {
        /// Which document, for example `certificate signing request`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl PkiError {
    fn library(action: &'static str) -> impl FnOnce(rcgen::Error) -> Self {
        move |source| Self::Library { action, source }
    }

    pub(crate) fn malformed(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Malformed { what, reason: format!("{reason}") }
    }
}

/// How far certificates are dated back: the clocks of two nodes may disagree by this much.
const BACKDATED: Duration = Duration::from_secs(300);

/// Certificate parameters with subject names, dates and a random serial number filled in.
fn parameters(names: &[(rcgen::DnType, &str)], now: SystemTime, lifetime: Duration) -> rcgen::CertificateParams {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in names {
        parameters.distinguished_name.push(kind.clone(), *value);
    }
    parameters.not_before = (now - BACKDATED).into();
    parameters.not_after = (now + lifetime).into();
    parameters
}

#[cfg(test)]
mod tests;
