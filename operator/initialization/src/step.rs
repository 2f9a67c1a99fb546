//! The next step, decided from facts alone: no I/O, no clock, no randomness.
//!
//! The order is the architecture's ("Initialisation order"). Every step is chosen by what is there, never by what was
//! done before, so a crash at any point is resumed by looking again.

mod active;
mod safety;
mod uninitialized;

use crate::custody::SecretName;
use crate::observed::{Observed, ObservedHsm, RosterDue};
use crate::plan::InitializationIntent;
use hsm_client::command::HsmState;

/// One step of the procedure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the operator CA.
    MakeOperatorAuthority,
    /// Issue provisioning certificates to pods that have none.
    CertifyPods,
    /// Make the half of the sealing root that lies outside the volumes.
    MakeSealingShare,
    /// Tell the blank volume of this pod which HSM of which cluster and zone it is.
    Assign {
        /// The pod.
        pod: String,
    },
    /// Make the customer CA, the trust anchor.
    MakeCustomerAuthority,
    /// Make the officer's first and second password, before the HSM learns the first.
    MakeOfficer,
    /// The caller records in a set-once field which HSM is going to be initialised; [`crate::Procedure::perform`] does
    /// nothing for it.
    RecordIntent(InitializationIntent),
    /// Have the cluster's certificate request signed and initialise this pod's HSM: once for ever (INV-08).
    Initialize {
        /// The pod.
        pod: String,
    },
    /// The caller records in a set-once field that the cluster is initialised; [`crate::Procedure::perform`] does
    /// nothing for it.
    RecordClusterCertificate {
        /// SHA-256 of the cluster certificate.
        fingerprint: [u8; 32],
    },
    /// Issue the controllers' client certificate for port 2223.
    MakeControllersClient,
    /// Change the pre-crypto officer's password, which activates the cluster.
    Activate {
        /// The pod.
        pod: String,
    },
    /// Make the ring with epoch 1 of `kmsuser`.
    MakeRing,
    /// Create `kmsuser` with the ring's active password.
    CreateKmsUser {
        /// The pod.
        pod: String,
    },
    /// Tell HSMs who their peers are.
    SendRoster(RosterDue),
    /// Make this pod's HSM a member by pulling from its peers.
    Join {
        /// The pod.
        pod: String,
    },
    /// Nothing can be done until the facts change by themselves.
    Wait(Waiting),
    /// Nothing may be done until a person has decided.
    Blocked(Blocked),
    /// Every planned HSM is an active member.
    Done,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Waiting {
    /// Pods without a node, address or answer.
    #[error("waiting for the pods {}", .0.join(", "))]
    Pods(Vec<String>),
    /// The client listener of an HSM that has to be read first.
    #[error("waiting for the HSM in the pod {0} to answer on its client port")]
    Users(String),
}

/// Why automation stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// A Secret without which the cluster cannot be operated is gone, and a new one would not fit.
    #[error("the secret {} is gone although the cluster needs it; restore it", .0.of("<cluster>"))]
    SecretLost(SecretName),
    /// The volume belongs to another cluster.
    #[error("the volume of the pod {pod} belongs to the cluster {cluster_id}")]
    ForeignVolume {
        /// The pod.
        pod: String,
        /// Whose volume it is.
        cluster_id: String,
    },
    /// The HSM in this pod holds another cluster certificate than the recorded one.
    #[error("the HSM in the pod {pod} holds another cluster certificate than the one recorded")]
    ForeignCertificate {
        /// The pod.
        pod: String,
    },
    /// The volume was assigned to another zone than the one the pod runs in.
    #[error("the volume of the pod {pod} was assigned to the zone {assigned} and runs in {found}")]
    ZoneMoved {
        /// The pod.
        pod: String,
        /// Zone of the assignment.
        assigned: String,
        /// Zone of the node.
        found: String,
    },
    /// Every volume is empty, or the one that was being initialised is gone: initialising again could put new material
    /// behind old names (INV-08).
    #[error(
        "the cluster was initialised before, but no reachable HSM holds anything of it; restore a volume or a backup"
    )]
    Emptied,
    /// An HSM was initialised that was not chosen here.
    #[error("the HSM in the pod {pod} was initialised by someone else")]
    InitializedElsewhere {
        /// The pod.
        pod: String,
    },
}

/// The AWS cluster state that the facts amount to (spec 1.2). A cluster that was ACTIVE stays so for its caller, also
/// while no HSM can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No HSM is assigned yet.
    CreateInProgress,
    /// The certificate request can be read.
    Uninitialized,
    /// The HSM to be initialised has been chosen.
    InitializeInProgress,
    /// The cluster certificate is in place.
    Initialized,
    /// The officer's password has been changed and `kmsuser` exists.
    Active,
}

/// Decides the next step.
pub fn next_step(observed: &Observed) -> Step {
    if let Some(blocked) = safety::check(observed) {
        return Step::Blocked(blocked);
    }
    if let Some(step) = before_pods(observed) {
        return step;
    }
    if let Some(pod) = first_blank(observed) {
        return Step::Assign { pod };
    }
    if observed.plan.recorded.cluster_certificate_fingerprint.is_some() {
        active::next(observed)
    } else {
        uninitialized::next(observed)
    }
}

/// The AWS cluster state of these facts.
pub fn phase(observed: &Observed) -> Phase {
    let recorded = &observed.plan.recorded;
    if recorded.cluster_certificate_fingerprint.is_some() {
        let active = observed
            .hsms
            .iter()
            .any(|hsm| hsm.is_in(HsmState::Active) && hsm.users.as_ref().is_some_and(|users| users.kmsuser.is_some()));
        return if active { Phase::Active } else { Phase::Initialized };
    }
    if recorded.initialization_intent.is_some() {
        return Phase::InitializeInProgress;
    }
    let assigned = uninitialized::initializer(observed).is_some_and(|hsm| hsm.is_in(HsmState::Assigned));
    if assigned { Phase::Uninitialized } else { Phase::CreateInProgress }
}

fn before_pods(observed: &Observed) -> Option<Step> {
    if !observed.secrets.contains(&SecretName::OperatorAuthority) {
        return Some(Step::MakeOperatorAuthority);
    }
    if observed.plan.pods.iter().any(|pod| !observed.certified_pods.contains(&pod.pod_name)) {
        return Some(Step::CertifyPods);
    }
    (!observed.secrets.contains(&SecretName::SealingShare)).then_some(Step::MakeSealingShare)
}

fn first_blank(observed: &Observed) -> Option<String> {
    let blank = |hsm: &&ObservedHsm| hsm.is_in(HsmState::Blank) && hsm.pod.availability_zone.is_some();
    observed.hsms.iter().find(blank).map(|hsm| hsm.pod.pod_name.clone())
}

/// Pods that do not answer, or none.
fn unreachable(observed: &Observed) -> Vec<String> {
    let silent = |hsm: &&ObservedHsm| hsm.volume.is_none();
    observed.hsms.iter().filter(silent).map(|hsm| hsm.pod.pod_name.clone()).collect()
}

#[cfg(test)]
mod tests;
