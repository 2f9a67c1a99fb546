//! The facts from which the next step is decided. Nothing secret is in them.

use crate::custody::SecretName;
use crate::plan::{ClusterPlan, PlannedPod};
use hsm_client::command::{HsmState, UserInfo};
use hsm_client::pki::{Member, certificate_fingerprint, roster_body, sha256};
use hsm_client::provisioning::VolumeIdentity;
use hsm_client::{HsmEndpoint, pki};
use std::collections::BTreeSet;

/// Everything known about one cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What the caller gave.
    pub plan: ClusterPlan,
    /// Secrets that exist.
    pub secrets: BTreeSet<SecretName>,
    /// Pods that have a provisioning certificate.
    pub certified_pods: BTreeSet<String>,
    /// One per pod of the plan, in its order.
    pub hsms: Vec<ObservedHsm>,
}

/// One pod, its volume and its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedHsm {
    /// The pod.
    pub pod: PlannedPod,
    /// What the volume says; absent while the pod cannot be reached.
    pub volume: Option<VolumeIdentity>,
    /// Users of an initialised HSM; absent while its client listener cannot be reached.
    pub users: Option<ObservedUsers>,
    /// Why volume or users could not be read.
    pub trouble: Option<String>,
}

/// The two users that the operator makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedUsers {
    /// `admin`.
    pub officer: Option<UserInfo>,
    /// `kmsuser`.
    pub kmsuser: Option<UserInfo>,
}

impl ObservedHsm {
    /// State of the volume; `None` while the pod cannot be reached.
    pub fn state(&self) -> Option<HsmState> {
        self.volume.as_ref().map(|volume| volume.state)
    }

    pub(crate) fn is_in(&self, state: HsmState) -> bool {
        self.state() == Some(state)
    }

    /// Where and by what this HSM is reached on its client listener; `None` before it is assigned or while it is down.
    pub fn endpoint(&self) -> Option<HsmEndpoint> {
        let volume = self.volume.as_ref()?;
        Some(HsmEndpoint {
            hsm_id: volume.hsm_id.clone()?,
            availability_zone: volume.availability_zone.clone()?,
            address: self.pod.addresses.as_ref()?.client,
            identity_fingerprint: volume.identity_fingerprint,
            host_certificate_fingerprint: volume.host_certificate_fingerprint,
        })
    }

    /// SHA-256 of the cluster certificate on the volume.
    pub fn cluster_certificate_fingerprint(&self) -> Option<[u8; 32]> {
        let certificate = self.volume.as_ref()?.cluster_certificate.as_deref()?;
        certificate_fingerprint(certificate).ok()
    }

    fn member(&self) -> Option<Member> {
        let volume = self.volume.as_ref()?;
        Some(Member {
            hsm_id: volume.hsm_id.clone()?,
            availability_zone: volume.availability_zone.clone()?,
            identity_fingerprint: volume.identity_fingerprint,
            peer_address: self.pod.addresses.as_ref()?.peer.clone(),
        })
    }
}

impl Observed {
    pub(crate) fn hsm(&self, pod_name: &str) -> Option<&ObservedHsm> {
        self.hsms.iter().find(|hsm| hsm.pod.pod_name == pod_name)
    }

    /// Everyone who belongs to the cluster: what the volumes say, and what was recorded of pods that are down.
    pub fn members(&self) -> Vec<Member> {
        let present = self.hsms.iter().filter_map(ObservedHsm::member);
        let down = |pod_name: &str| self.hsm(pod_name).is_some_and(|hsm| hsm.volume.is_none());
        let absent = self.plan.recorded.hsms.iter().filter(|hsm| down(&hsm.pod_name)).map(|hsm| Member {
            hsm_id: hsm.hsm_id.clone(),
            availability_zone: hsm.availability_zone.clone(),
            identity_fingerprint: hsm.identity_fingerprint,
            peer_address: hsm.peer_address.clone(),
        });
        let mut members: Vec<_> = present.chain(absent).collect();
        members.sort_by(|one, other| one.hsm_id.cmp(&other.hsm_id));
        members
    }

    /// The version under which a roster has to be sent out, and to whom; `None` when every assigned HSM that can be
    /// reached has the present one.
    pub fn roster_due(&self) -> Option<RosterDue> {
        let members = self.members();
        let volumes: Vec<_> = self
            .hsms
            .iter()
            .filter_map(|hsm| Some((hsm, hsm.volume.as_ref()?)))
            .filter(|(_, volume)| volume.hsm_id.is_some())
            .collect();
        let newest = volumes.iter().map(|(_, volume)| volume.roster_version).max()?;
        let digest = sha256(&roster_body(&self.plan.cluster_id, newest, &members));
        // Two partitions in a row can leave two rosters of one version; an HSM takes only a higher one, so all of the newest must be right.
        let newest_is_right =
            volumes.iter().all(|(_, volume)| volume.roster_version < newest || volume.roster_digest == digest);
        let (version, missing): (u64, Vec<_>) = if newest_is_right {
            (newest, volumes.iter().filter(|(_, volume)| volume.roster_digest != digest).collect())
        } else {
            (newest + 1, volumes.iter().collect())
        };
        let pods: Vec<_> = missing.iter().map(|(hsm, _)| hsm.pod.pod_name.clone()).collect();
        (!pods.is_empty()).then_some(RosterDue { version, members, pods })
    }
}

/// A roster that some HSMs lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterDue {
    /// Its version.
    pub version: u64,
    /// Who is in it.
    pub members: Vec<pki::Member>,
    /// Pods that lack it.
    pub pods: Vec<String>,
}
