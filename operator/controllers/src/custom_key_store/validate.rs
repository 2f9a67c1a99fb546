//! The checks of CreateCustomKeyStore and the fast failures of ConnectCustomKeyStore (spec 2.3, 2.6): facts for the core, and its verdict. Pure.
//!
//! A store whose creation is refused gets no id and no claim; a refused connect leaves the state where it is (INV-34).

use hsm_client::tls::{TrustAnchor, verify_cluster_certificate};
use operator_api::{CloudHsmCluster, RecordedKind, reason::ID_IN_USE};
use operator_domain::{
    cluster::{ClusterState, HsmZones},
    connection::precondition::{self, ClusterFacts, CreateFacts},
    refusal::{Exception, Refusal},
};
use rustls_pki_types::UnixTime;

use super::members::{Member, members};
use crate::recovery;

/// Why a store, or a connect, is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAccepted {
    /// AWS refuses it likewise.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The wrong trust anchor, with what is wrong about it.
    #[error("The request was rejected because the trust anchor does not fit: {0}")]
    TrustAnchor(String),
    /// The name stands for another store's id: that one was lost and may come back (D5).
    #[error("custom key store {0} belongs to this name: {cure}", cure = recovery::cure(RecordedKind::CustomKeyStore, .0))]
    IdentityExists(String),
    /// The store's id belongs to another store, whose manifest this one was copied from (D2). Holds what [`crate::ownership::refusal`] says.
    #[error("{0}")]
    IdInUse(String),
    /// A Secret that the store names cannot be used: in AWS its content would be a parameter of the call.
    #[error(transparent)]
    Secret(#[from] SecretProblem),
}

impl NotAccepted {
    /// Reason of the condition `Accepted`: the AWS exception where there is one.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.exception.as_str(),
            Self::TrustAnchor(_) => Exception::IncorrectTrustAnchor.as_str(),
            Self::IdentityExists(_) => "IdentityExists",
            Self::IdInUse(_) => ID_IN_USE,
            Self::Secret(problem) => problem.reason(),
        }
    }
}

/// What is wrong with a Secret of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretProblem {
    /// It is not there.
    #[error("Secret {secret} does not exist in this namespace")]
    Missing {
        /// Its name.
        secret: String,
    },
    /// It has no such entry.
    #[error("Secret {secret} has no entry {key}")]
    EntryMissing {
        /// Its name.
        secret: String,
        /// The entry.
        key: String,
    },
    /// The namespace does not let the controllers read it (D10).
    #[error(
        "Secret {secret} may not be read: bind a Role that allows get on it to ServiceAccount keystore-operator of namespace {controllers}"
    )]
    Forbidden {
        /// Its name.
        secret: String,
        /// Namespace of the controllers.
        controllers: String,
    },
    /// A `kmsuser` password has 7 to 32 letters and digits (CKS-81).
    #[error("the password in Secret {secret} does not have 7 to 32 letters and digits")]
    NotAPassword {
        /// Its name.
        secret: String,
    },
}

impl SecretProblem {
    /// Reason of the condition `Accepted`.
    fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "SecretNotFound",
            Self::EntryMissing { .. } => "SecretEntryNotFound",
            Self::Forbidden { .. } => "MissingTenantBinding",
            Self::NotAPassword { .. } => "ValidationException",
        }
    }
}

/// What a claim says about somebody else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The friendly name.
    pub(super) name: bool,
    /// The cluster, or one of its lineage.
    pub(super) lineage: bool,
}

/// Rows 3 to 9 of spec 2.3. `stores` counts the accepted stores of the namespace without this one; `restored` says that the store has an id.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn creation(
    cluster: Option<&CloudHsmCluster>,
    anchor: Option<&str>,
    taken: Taken,
    stores: usize,
    restored: bool,
    now: UnixTime,
) -> Result<(), NotAccepted> {
    let fits = cluster.map(|cluster| trust_anchor(cluster, anchor, now));
    let facts = CreateFacts {
        restored,
        name_in_use: taken.name,
        stores,
        cluster: cluster.map(facts),
        cluster_in_use: taken.lineage,
        trust_anchor_fits: true,
    };
    precondition::create(&facts)?;
    fits.unwrap_or(Ok(()))
}

/// The fast failures of ConnectCustomKeyStore. A cluster that is gone is a late failure there (spec 2.6), so its absence passes.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn connect(cluster: Option<&CloudHsmCluster>) -> Result<(), NotAccepted> {
    Ok(precondition::connect(cluster.map(facts).as_ref())?)
}

/// Zones of the active HSMs.
pub(super) fn active_zones(members: &[Member]) -> HsmZones {
    members.iter().filter(|member| member.active).filter_map(|member| member.availability_zone.parse().ok()).collect()
}

fn facts(cluster: &CloudHsmCluster) -> ClusterFacts {
    let state = cluster.status.as_ref().and_then(|status| status.state);
    ClusterFacts {
        // A cluster that has not been looked at yet is as new as one can be.
        state: state.and_then(|state| state.as_str().parse().ok()).unwrap_or(ClusterState::CreateInProgress),
        subnet_zones: cluster.spec.availability_zones.len(),
        // The NetworkPolicy that is the security group is made with the cluster and has no settings.
        security_group_open: true,
        active_hsms: active_zones(&members(cluster)),
    }
}

fn trust_anchor(cluster: &CloudHsmCluster, anchor: Option<&str>, now: UnixTime) -> Result<(), NotAccepted> {
    let wrong = |problem: String| NotAccepted::TrustAnchor(problem);
    let certificates = cluster.status.as_ref().and_then(|status| status.certificates.as_ref());
    let certificate = certificates.and_then(|certificates| certificates.cluster_certificate.as_deref());
    let certificate = certificate.ok_or_else(|| wrong("the cluster shows no cluster certificate".into()))?;
    let anchor = anchor.ok_or_else(|| wrong("the cluster shows no trust anchor".into()))?;
    let anchor = TrustAnchor::parse(anchor).map_err(|error| wrong(error.to_string()))?;
    verify_cluster_certificate(certificate, &anchor, now).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests;
