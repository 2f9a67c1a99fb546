//! What stops a reconcile of a key without being an answer to its owner.

use hsm_client::HsmError;
use operator_domain::key::creation::Problem;

use crate::{
    fences::FenceError,
    keystore_account::AccountError,
    leader::NotLeader,
    random::NoRandomness,
    read::ReadError,
    recovery::RecoveryError,
    report::{Failure, Retry},
    write::WriteError,
};

/// Why a reconcile of a key ended early.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// See [`ReadError`].
    #[error(transparent)]
    Read(#[from] ReadError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
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
    /// An HSM did not answer or refused; what became of the command the next look shows (INV-23).
    #[error("failed to {what} on {hsm_id}")]
    Hsm {
        /// What was tried.
        what: &'static str,
        /// On which HSM.
        hsm_id: String,
        /// Cause.
        #[source]
        source: HsmError,
    },
    /// An acknowledged key could not be copied to an HSM that lacks it (INV-04). It is in use all the same.
    #[error("failed to bring the key to every HSM; it is in use on the others")]
    Unrepaired(#[source] Box<KeyError>),
    /// Only the owner can change it; looked at again at times all the same.
    #[error("failed to bring the key into use: {0}")]
    Stopped(Problem),
    /// Too few HSMs answer to decide anything.
    #[error("failed to reach enough HSMs to go on with the key")]
    Waiting,
    /// The object holds something that cannot be read.
    #[error("failed to read {0} of the KmsKey")]
    Malformed(&'static str),
    /// The plan did not come to an end: a fault of ours.
    #[error("failed to finish the plan of the key")]
    Endless,
}

impl KeyError {
    pub(super) fn hsm(what: &'static str, hsm_id: &str) -> impl FnOnce(HsmError) -> Self {
        move |source| Self::Hsm { what, hsm_id: hsm_id.to_owned(), source }
    }

    /// Whether an HSM is at fault, and so perhaps only that one.
    pub(super) fn is_of_an_hsm(&self) -> bool {
        matches!(self, Self::Hsm { .. } | Self::Fence(FenceError::Hsm(_)))
    }
}

impl Failure for KeyError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read(error) => error.reason(),
            Self::Write(error) => error.reason(),
            Self::Account(error) => error.reason(),
            Self::Fence(FenceError::NotLeader(_)) | Self::NotLeader(_) => "NotLeader",
            Self::Fence(FenceError::Hsm(_)) | Self::Hsm { .. } => "HsmFailed",
            Self::Unrepaired(_) => "UnderReplicated",
            Self::NoRandomness(_) => "NoRandomness",
            Self::Recovery(error) => error.reason(),
            Self::Stopped(problem) => problem.reason(),
            Self::Waiting => "WaitingForHsms",
            Self::Malformed(_) => "Malformed",
            Self::Endless => "InternalError",
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Malformed(_) => Retry::AfterChange,
            _ => Retry::Backoff,
        }
    }
}
