//! Why a reconcile of a cluster failed, what that is called, and when to try again.

use hsm_initialization::InitializationError;

use crate::certificate::CertificateError;
use crate::leader::NotLeader;
use crate::random::NoRandomness;
use crate::read::ReadError;
use crate::recovery::RecoveryError;
use crate::report::{Failure, Retry};
use crate::secrets::SecretError;
use crate::write::WriteError;

/// A failed step. Texts name objects and HSMs, never secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClusterError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Initialization(#[from] InitializationError),
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl Failure for ClusterError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read(error) => error.reason(),
            Self::Write(error) => error.reason(),
            Self::Secret(error) => error.reason(),
            Self::Certificate(error) => error.reason(),
            Self::Initialization(error) => initialization(error),
            Self::NotLeader(_) => "NotLeader",
            Self::Randomness(_) => "NoRandomness",
            Self::Recovery(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

fn initialization(error: &InitializationError) -> &'static str {
    match error {
        InitializationError::Custody(_) => "ApiUnavailable",
        InitializationError::SecretMissing(_) => "SecretMissing",
        InitializationError::SecretMalformed { .. } | InitializationError::Ring(_) => "SecretMalformed",
        InitializationError::Pki(_) | InitializationError::TrustAnchor(_) => "CertificateFailed",
        InitializationError::NoRandomness(_) => "NoRandomness",
        InitializationError::Connect { .. } | InitializationError::UnknownPod(_) => "HsmUnreachable",
        InitializationError::Hsm { .. } => "HsmRefused",
        InitializationError::OfficerRefused { .. } => "OfficerRefused",
        InitializationError::Fence { .. } => "NoFence",
    }
}
