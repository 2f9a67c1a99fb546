//! Checks before a call is accepted: they answer the call and leave nothing behind (spec 1.5, 2.3, 2.6, D8, INV-34).
//!
//! The same checks run for a manifest, where the exception's name becomes the reason of `Accepted=False`.

use crate::cluster::{ClusterState, HsmZones};
use crate::refusal::{Exception, Refusal};

/// What is known about the cluster that a store names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFacts {
    /// AWS state of the cluster.
    pub state: ClusterState,
    /// Number of distinct zones in which the cluster has a private subnet, that is: zones listed in its spec.
    pub subnet_zones: usize,
    /// The security group admits TCP 2223–2225 from its own members.
    pub security_group_open: bool,
    /// Where HSMs are ACTIVE.
    pub active_hsms: HsmZones,
}

/// Stores per account and Region (spec 2.3 row 4).
pub const STORES_PER_ACCOUNT: usize = 10;

/// What is known when a store is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateFacts {
    /// It has an id: these checks were passed before, and its object has come back (D5).
    pub restored: bool,
    /// Another store of the account has the friendly name.
    pub name_in_use: bool,
    /// Stores that the account already has.
    pub stores: usize,
    /// The cluster, if it exists in this account.
    pub cluster: Option<ClusterFacts>,
    /// Another store uses the cluster or one of its lineage.
    pub cluster_in_use: bool,
    /// The trust anchor issued the cluster certificate and is self-signed (CKS-25).
    pub trust_anchor_fits: bool,
}

/// The checks of CreateCustomKeyStore, in the order of the table in spec 2.3.
///
/// A restored store needs no second zone: its keys are used from one HSM, as D8 lets every store connect and every key be used. New keys ask for
/// two zones themselves ([`create_key`]).
///
/// # Errors
/// The exception of the first row that applies.
pub fn create(facts: &CreateFacts) -> Result<(), Refusal> {
    if facts.name_in_use {
        return refuse(Exception::CustomKeyStoreNameInUse, "the friendly name is used by another custom key store");
    }
    if facts.stores >= STORES_PER_ACCOUNT {
        return refuse(Exception::LimitExceeded, "the account already has 10 custom key stores");
    }
    let Some(cluster) = &facts.cluster else {
        return refuse(Exception::CloudHsmClusterNotFound, "there is no such cluster in this account and Region");
    };
    if facts.cluster_in_use {
        return refuse(
            Exception::CloudHsmClusterInUse,
            "the cluster, or one with the same cluster certificate, is used by another custom key store",
        );
    }
    active(cluster)?;
    network(cluster)?;
    let hsms = if facts.restored { one_hsm(cluster) } else { create_key(&cluster.active_hsms) };
    hsms?;
    if !facts.trust_anchor_fits {
        return refuse(Exception::IncorrectTrustAnchor, "the trust anchor did not issue the cluster certificate");
    }
    Ok(())
}

/// The fast failures of ConnectCustomKeyStore. The store stays DISCONNECTED.
///
/// A cluster that does not exist is no fast failure: the connect is accepted and fails with CLUSTER_NOT_FOUND (spec 2.6). No
/// active HSM *now* is a fast failure; HSMs that vanish later are INSUFFICIENT_CLOUDHSM_HSMS.
///
/// # Errors
/// `CloudHsmClusterNotActiveException` or `CloudHsmClusterInvalidConfigurationException`.
pub fn connect(cluster: Option<&ClusterFacts>) -> Result<(), Refusal> {
    let Some(cluster) = cluster else { return Ok(()) };
    active(cluster)?;
    network(cluster)?;
    one_hsm(cluster)
}

/// What CreateKey asks of the cluster of a CONNECTED store: two active HSMs in different zones (D8, SCN-17).
///
/// # Errors
/// `CloudHsmClusterInvalidConfigurationException`.
pub fn create_key(active_hsms: &HsmZones) -> Result<(), Refusal> {
    if active_hsms.zones() >= 2 { Ok(()) } else { refuse(Exception::CloudHsmClusterInvalidConfiguration, TWO_ZONES) }
}

const TWO_ZONES: &str = "the cluster must have at least two active HSMs, each in a different availability zone";

/// "Active" is the state ACTIVE exactly; DEGRADED is not (HSM-1, HSM-2).
fn active(cluster: &ClusterFacts) -> Result<(), Refusal> {
    if cluster.state == ClusterState::Active {
        return Ok(());
    }
    refuse(
        Exception::CloudHsmClusterNotActive,
        &format!("the state of the cluster is {}, not ACTIVE", cluster.state.as_str()),
    )
}

fn network(cluster: &ClusterFacts) -> Result<(), Refusal> {
    let complaint = if cluster.subnet_zones < 2 {
        "the cluster must have private subnets in at least two availability zones"
    } else if !cluster.security_group_open {
        "the security group of the cluster must allow TCP 2223 to 2225 among its members"
    } else {
        return Ok(());
    };
    refuse(Exception::CloudHsmClusterInvalidConfiguration, complaint)
}

fn one_hsm(cluster: &ClusterFacts) -> Result<(), Refusal> {
    if cluster.active_hsms.can_use_keys() {
        return Ok(());
    }
    refuse(Exception::CloudHsmClusterInvalidConfiguration, "the cluster has no active HSM")
}

fn refuse(exception: Exception, why: &str) -> Result<(), Refusal> {
    Err(Refusal::new(exception, format!("The request was rejected because {why}.")))
}

#[cfg(test)]
mod tests;
