//! The AWS states of a cluster and of its HSMs, from facts that survive a restart of everything (spec 1.2, 1.3).

use strum::{EnumIter, EnumString, IntoStaticStr};

/// AWS `ClusterState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum ClusterState {
    CreateInProgress,
    Uninitialized,
    InitializeInProgress,
    Initialized,
    Active,
    UpdateInProgress,
    ModifyInProgress,
    RollbackInProgress,
    DeleteInProgress,
    Deleted,
    Degraded,
}

impl ClusterState {
    /// AWS's spelling, for example `CREATE_IN_PROGRESS`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// AWS `HsmState`, and `vacant` (D18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum HsmState {
    CreateInProgress,
    Active,
    Degraded,
    DeleteInProgress,
    Deleted,
    #[strum(serialize = "vacant")]
    Vacant,
}

impl HsmState {
    /// AWS's spelling, for example `ACTIVE`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What is known about one HSM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HsmProgress {
    /// It answers, and says that it serves clients.
    pub serves: bool,
    /// It was ACTIVE at some time before.
    pub served_before: bool,
    /// Its cluster is being deleted.
    pub deleting: bool,
}

impl HsmProgress {
    /// The HSM's state: one that served and does not answer is DEGRADED, not new again.
    pub fn state(self) -> HsmState {
        if self.deleting {
            HsmState::DeleteInProgress
        } else if self.serves {
            HsmState::Active
        } else if self.served_before {
            HsmState::Degraded
        } else {
            HsmState::CreateInProgress
        }
    }
}

/// How far a cluster has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterProgress<'a> {
    /// The first HSM has made the CSR.
    pub csr_available: bool,
    /// `spec.initializationIntent` is set.
    pub initialization_intended: bool,
    /// `spec.clusterCertificateFingerprint` is set: initialised, and never again (INV-08).
    pub initialized: bool,
    /// The pre-crypto officer's password was changed (spec 1.3 step 6), or the state was ACTIVE before.
    pub activated: bool,
    /// The object is being deleted.
    pub deleting: bool,
    /// States of the HSMs that the spec asks for.
    pub hsms: &'a [HsmState],
}

impl ClusterProgress<'_> {
    /// The cluster's state. Facts decide in the order in which they come true and none is ever taken back, so the state
    /// does not fall behind when a pod is missing for a while.
    ///
    /// An HSM that still joins leaves the cluster ACTIVE, as a further `CreateHsm` does in AWS; one that served and does
    /// not answer makes it DEGRADED.
    pub fn state(&self) -> ClusterState {
        if self.deleting {
            ClusterState::DeleteInProgress
        } else if self.activated && self.hsms.contains(&HsmState::Degraded) {
            ClusterState::Degraded
        } else if self.activated {
            ClusterState::Active
        } else if self.initialized {
            ClusterState::Initialized
        } else if self.initialization_intended {
            ClusterState::InitializeInProgress
        } else if self.csr_available {
            ClusterState::Uninitialized
        } else {
            ClusterState::CreateInProgress
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_pass_in_the_order_of_1_2() {
        let mut progress = ClusterProgress::default();
        let mut seen = vec![progress.state().as_str()];
        let facts: [fn(&mut ClusterProgress<'_>); 4] = [
            |p| p.csr_available = true,
            |p| p.initialization_intended = true,
            |p| p.initialized = true,
            |p| p.activated = true,
        ];
        for fact in facts {
            fact(&mut progress);
            seen.push(progress.state().as_str());
        }
        assert_eq!(seen, ["CREATE_IN_PROGRESS", "UNINITIALIZED", "INITIALIZE_IN_PROGRESS", "INITIALIZED", "ACTIVE"]);
    }

    #[test]
    fn an_hsm_that_served_and_is_silent_degrades_the_cluster_and_a_joining_one_does_not_hsm_2() {
        let with = |hsms: &[HsmState]| ClusterProgress { activated: true, hsms, ..Default::default() }.state();
        assert_eq!(with(&[HsmState::Active, HsmState::CreateInProgress]), ClusterState::Active);
        assert_eq!(with(&[HsmState::Active, HsmState::Degraded]), ClusterState::Degraded);
        assert_eq!(with(&[]), ClusterState::Active);
    }

    #[test]
    fn a_lost_csr_does_not_take_an_initialised_cluster_back_inv_08() {
        let progress = ClusterProgress { initialized: true, csr_available: false, ..Default::default() };
        assert_eq!(progress.state(), ClusterState::Initialized);
    }

    #[test]
    fn an_hsm_is_degraded_only_after_it_served() {
        let state = |serves, served_before| HsmProgress { serves, served_before, deleting: false }.state();
        assert_eq!(state(false, false), HsmState::CreateInProgress);
        assert_eq!(state(true, false), HsmState::Active);
        assert_eq!(state(false, true), HsmState::Degraded);
        assert_eq!(state(true, true), HsmState::Active);
        assert_eq!(HsmState::Vacant.as_str(), "vacant");
    }
}
