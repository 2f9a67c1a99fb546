//! What stops a reconcile of a store without being an answer to its owner: the state stays, and the next reconcile goes on from there.

use crate::{
    claim::ClaimError,
    fences::FenceError,
    keystore_account::AccountError,
    leader::NotLeader,
    random::NoRandomness,
    read::ReadError,
    recovery::RecoveryError,
    report::{Failure, Retry},
    ring::RingAccessError,
    secrets::SecretError,
    write::WriteError,
};

/// Why a reconcile of a store ended early.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// See [`ReadError`].
    #[error(transparent)]
    Read(#[from] ReadError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
    /// See [`SecretError`].
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// See [`RingAccessError`].
    #[error(transparent)]
    Ring(#[from] RingAccessError),
    /// See [`ClaimError`].
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// See [`AccountError`].
    #[error(transparent)]
    Account(#[from] AccountError),
    /// See [`FenceError`].
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// See [`NotLeader`].
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// See [`RecoveryError`].
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// Another leader has taken the fence: this process has been deposed, or is about to learn that it was not.
    #[error("failed to command an HSM: another leader holds its fence")]
    Deposed,
    /// HSMs of a connected store are not in service for it; the store stays CONNECTED and uses the others (CKS-10).
    #[error("failed to keep these HSMs in service: {0}")]
    Pending(String),
    /// A Secret of the installation that another controller makes is not there (yet) or cannot be read.
    #[error("failed to use Secret {name}: {problem}")]
    Custody {
        /// The Secret.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Failure for StoreError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read(error) => error.reason(),
            Self::Write(error) => error.reason(),
            Self::Claim(error) => error.reason(),
            Self::Secret(error) | Self::Ring(RingAccessError::Secret(error)) => error.reason(),
            Self::Ring(RingAccessError::Ring(_)) => "RingDamaged",
            Self::Account(error) => error.reason(),
            Self::Fence(FenceError::NotLeader(_)) | Self::NotLeader(_) => "NotLeader",
            Self::Fence(FenceError::Hsm(_)) => "HsmUnreachable",
            Self::NoRandomness(_) | Self::Ring(RingAccessError::NoRandomness(_)) => "NoRandomness",
            Self::Recovery(error) => error.reason(),
            Self::Deposed => "Deposed",
            Self::Pending(_) => "CredentialsPending",
            Self::Custody { .. } => "SecretMissing",
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}
