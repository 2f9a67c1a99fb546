//! What can go wrong in one step. Nothing here holds a secret.

use crate::custody::{CustodyError, SecretName};
use crate::password::NoRandomness;
use crate::ring::RingError;
use hsm_client::pki::PkiError;
use hsm_client::tls::TrustAnchorError;
use hsm_client::{ConnectError, HsmError};

/// A step that was not done, or whose outcome is unknown. Observing again tells which (INV-23).
#[derive(Debug, thiserror::Error)]
pub enum InitializationError {
    /// See [`CustodyError`].
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// A Secret that an earlier step wrote is gone.
    #[error("failed to find the secret {}", .0.of("<cluster>"))]
    SecretMissing(SecretName),
    /// An entry of a Secret is missing or not what it was.
    #[error("failed to read entry {entry} of the secret {}", secret.of("<cluster>"))]
    SecretMalformed {
        /// Which Secret.
        secret: SecretName,
        /// Which entry.
        entry: &'static str,
    },
    /// See [`RingError`].
    #[error(transparent)]
    Ring(#[from] RingError),
    /// See [`PkiError`].
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// See [`TrustAnchorError`].
    #[error(transparent)]
    TrustAnchor(#[from] TrustAnchorError),
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A pod could not be reached, or is not who it should be.
    #[error("failed to connect to the pod {pod}")]
    Connect {
        /// Which pod.
        pod: String,
        /// In which phase, and why.
        source: ConnectError,
    },
    /// An HSM refused a step, or its answer did not come.
    #[error("failed to {action} on the pod {pod}")]
    Hsm {
        /// Which pod.
        pod: String,
        /// What was asked of it.
        action: &'static str,
        /// What it said.
        source: HsmError,
    },
    /// No fence could be had, so nothing may be changed on the HSM (P5).
    #[error("failed to obtain the fence of the HSM in the pod {pod}: {reason}")]
    Fence {
        /// Which pod.
        pod: String,
        /// Why.
        reason: String,
    },
    /// The officer's logins on this HSM fail or are cut off again and again: what is left of them belongs to a person.
    #[error(
        "failed to go on with the pod {pod}: the crypto officer's last {failures} logins there failed, and more would lock it. Log in as \
         the officer once, or put the password that it has now into the officer's secret"
    )]
    OfficerRefused {
        /// Which pod.
        pod: String,
        /// Failed attempts in a row.
        failures: u32,
    },
    /// The pod of a step is not among the observed ones: the facts are of another moment.
    #[error("failed to find the pod {0} among the observed ones")]
    UnknownPod(String),
}

impl InitializationError {
    pub(crate) fn hsm(pod: &str, action: &'static str) -> impl FnOnce(HsmError) -> Self {
        let pod = pod.to_owned();
        move |source| Self::Hsm { pod, action, source }
    }

    pub(crate) fn connect(pod: &str) -> impl FnOnce(ConnectError) -> Self {
        let pod = pod.to_owned();
        move |source| Self::Connect { pod, source }
    }
}
