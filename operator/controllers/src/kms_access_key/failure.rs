//! What can go wrong with an access key, and what its owner can do about it.

use crate::{
    keystore_account::AccountError,
    random::NoRandomness,
    report::{Failure, Retry},
    secrets::SecretError,
    write::WriteError,
};

/// Why an access key is not ready.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeyError {
    /// The API server did not answer.
    #[error("failed to read the KmsAccessKey")]
    Read(#[source] kube::Error),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
    /// See [`SecretError`].
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// See [`AccountError`].
    #[error(transparent)]
    Account(#[from] AccountError),
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The namespace does not let the controllers deliver (D10).
    #[error(
        "failed to deliver into Secret {secret}: bind a Role that allows create on secrets and get on secret {secret} to ServiceAccount \
         keystore-operator of namespace {controllers} (deploy/quickstart/10-permissions.yaml shows both)"
    )]
    MissingTenantBinding {
        /// Secret that would be written.
        secret: String,
        /// Namespace of the controllers.
        controllers: String,
    },
    /// A Secret of this name is there and not ours.
    #[error(
        "failed to deliver: Secret {secret} exists and holds another access key, or this one with an older secret; it is never overwritten: \
         delete or rename it"
    )]
    CredentialsSecretExists {
        /// The Secret.
        secret: String,
    },
    /// `spec.accessKeyId` belongs to another object: copied from one, or restored from a backup under a new uid.
    #[error(
        "failed to use spec.accessKeyId: it belongs to another KmsAccessKey, or to this one as it was before it was restored; delete this object \
         and create it without spec.accessKeyId"
    )]
    AccessKeyIdTaken,
    /// The gateway's copy is gone, and with it the only place from which it could be delivered or checked.
    #[error(
        "failed to find the gateway's copy of this delivered key: requests signed with it are refused; create a new KmsAccessKey"
    )]
    GatewayCopyLost,
}

impl Failure for AccessKeyError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "ApiUnavailable",
            Self::Write(error) => error.reason(),
            Self::Secret(error) => error.reason(),
            Self::Account(error) => error.reason(),
            Self::NoRandomness(_) => "NoRandomness",
            Self::MissingTenantBinding { .. } => "MissingTenantBinding",
            Self::CredentialsSecretExists { .. } => "CredentialsSecretExists",
            Self::AccessKeyIdTaken => "AccessKeyIdTaken",
            Self::GatewayCopyLost => "GatewayCopyLost",
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Write(error) => error.retry(),
            Self::Secret(error) => error.retry(),
            Self::Account(error) => error.retry(),
            // Neither RoleBindings nor tenants' Secrets are watched, so only trying again finds the cure.
            Self::MissingTenantBinding { .. }
            | Self::CredentialsSecretExists { .. }
            | Self::Read(_)
            | Self::NoRandomness(_) => Retry::Backoff,
            Self::AccessKeyIdTaken | Self::GatewayCopyLost => Retry::AfterChange,
        }
    }
}

impl AccessKeyError {
    /// Whether the owner has to act: such a failure makes `Accepted` False.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::MissingTenantBinding { .. }
                | Self::CredentialsSecretExists { .. }
                | Self::AccessKeyIdTaken
                | Self::GatewayCopyLost
        )
    }
}
