//! A make-believe cluster for the tests of the decision.

use super::super::*;
use crate::observed::ObservedUsers;
use crate::plan::{ClusterPlan, PlannedPod, PodAddresses, Recorded};
use hsm_client::command::{UserInfo, UserType};
use hsm_client::pki::{CertificateAuthority, certificate_fingerprint, roster_body, sha256};
use hsm_client::provisioning::VolumeIdentity;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::SystemTime;

pub(super) const CLUSTER: &str = "cluster-aaaaaaaaaaaaaaaa";

/// Any certificate will do: the decision looks at fingerprints only.
fn certificate() -> String {
    static CERTIFICATE: OnceLock<String> = OnceLock::new();
    let make = || CertificateAuthority::generate_operator(CLUSTER, SystemTime::now()).expect("generates").certificate;
    CERTIFICATE.get_or_init(make).clone()
}

pub(super) fn fingerprint() -> [u8; 32] {
    certificate_fingerprint(&certificate()).expect("reads")
}

fn user(user_type: UserType) -> UserInfo {
    UserInfo { user_type, epoch: 1, failures: 0, locked: false, foreign_sessions: 0, last_op_id: vec![] }
}

/// A make-believe cluster: `apply` does to the facts what performing a step does to the world.
pub(super) struct World {
    pub(super) observed: Observed,
    pub(super) serial: u8,
}

impl World {
    pub(super) fn new() -> Self {
        let pod = |index: u8, zone: &str| {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 1000 + u16::from(index)));
            PlannedPod {
                pod_name: format!("{CLUSTER}-{index}"),
                availability_zone: Some(zone.into()),
                addresses: Some(PodAddresses { client: at, provisioning: at, peer: at.to_string() }),
            }
        };
        // The lowest zone is not that of the first pod.
        let pods = vec![pod(0, "local-1c"), pod(1, "local-1a"), pod(2, "local-1b")];
        let plan = ClusterPlan { cluster_id: CLUSTER.into(), pods, recorded: Recorded::default() };
        let mut world = Self {
            observed: Observed { hsms: vec![], plan, secrets: BTreeSet::new(), certified_pods: BTreeSet::new() },
            serial: 0,
        };
        world.observed.hsms = world
            .observed
            .plan
            .pods
            .iter()
            .map(|pod| ObservedHsm { pod: pod.clone(), volume: None, users: None, trouble: None })
            .collect();
        for index in 0..3 {
            world.insert_empty_volume(index);
        }
        world
    }

    pub(super) fn insert_empty_volume(&mut self, index: usize) {
        self.serial += 1;
        let volume = VolumeIdentity {
            state: HsmState::Blank,
            identity_fingerprint: [self.serial; 32],
            host_certificate_fingerprint: [0; 32],
            hsm_id: None,
            cluster_id: None,
            availability_zone: None,
            incarnation: 1,
            cluster_certificate: None,
            roster_version: 0,
            roster_digest: vec![],
            pod_certificate_fingerprint: vec![],
        };
        let hsm = &mut self.observed.hsms[index];
        (hsm.volume, hsm.users) = (Some(volume), None);
    }

    pub(super) fn volume(&mut self, pod: &str) -> &mut VolumeIdentity {
        let hsm = self.observed.hsms.iter_mut().find(|hsm| hsm.pod.pod_name == pod).expect("planned");
        hsm.volume.as_mut().expect("reachable")
    }

    pub(super) fn users(&mut self, pod: &str) -> &mut Option<ObservedUsers> {
        &mut self.observed.hsms.iter_mut().find(|hsm| hsm.pod.pod_name == pod).expect("planned").users
    }

    fn kmsuser_exists(&self) -> bool {
        self.observed.hsms.iter().any(|hsm| hsm.users.as_ref().is_some_and(|users| users.kmsuser.is_some()))
    }

    pub(super) fn apply(&mut self, step: &Step) {
        self.observed.secrets.extend(secret_made(step));
        match step {
            Step::CertifyPods => {
                let names = self.observed.plan.pods.iter().map(|pod| pod.pod_name.clone());
                self.observed.certified_pods = names.collect();
            }
            Step::MakeOperatorAuthority
            | Step::MakeSealingShare
            | Step::MakeCustomerAuthority
            | Step::MakeOfficer
            | Step::MakeControllersClient
            | Step::MakeRing => {}
            Step::RecordIntent(intent) => {
                self.observed.plan.recorded.initialization_intent = Some(intent.clone());
            }
            Step::RecordClusterCertificate { fingerprint } => {
                self.observed.plan.recorded.cluster_certificate_fingerprint = Some(*fingerprint);
            }
            Step::Assign { pod } => self.assign(pod),
            Step::Initialize { pod } => {
                let volume = self.volume(pod);
                volume.state = HsmState::Initialized;
                volume.cluster_certificate = Some(certificate());
            }
            Step::Activate { pod } => {
                self.volume(pod).state = HsmState::Active;
                *self.users(pod) = Some(ObservedUsers { officer: Some(user(UserType::Co)), kmsuser: None });
            }
            Step::CreateKmsUser { pod } => {
                self.users(pod).as_mut().expect("active").kmsuser = Some(user(UserType::Cu));
            }
            Step::SendRoster(due) => {
                let digest = sha256(&roster_body(CLUSTER, due.version, &due.members)).to_vec();
                for pod in &due.pods {
                    let volume = self.volume(pod);
                    assert!(due.version > volume.roster_version, "versions only rise");
                    (volume.roster_version, volume.roster_digest) = (due.version, digest.clone());
                }
            }
            Step::Join { pod } => {
                assert!(self.kmsuser_exists(), "the snapshot has to carry kmsuser");
                let volume = self.volume(pod);
                assert!(volume.roster_version > 0, "a joiner has to know its peers");
                volume.state = HsmState::Active;
                volume.cluster_certificate = Some(certificate());
                let kmsuser = Some(user(UserType::Cu));
                *self.users(pod) = Some(ObservedUsers { officer: Some(user(UserType::Co)), kmsuser });
            }
            Step::Wait(_) | Step::Blocked(_) | Step::Done => panic!("nothing to apply: {step:?}"),
        }
    }

    fn assign(&mut self, pod: &str) {
        let planned = self.observed.plan.pods.iter().find(|planned| planned.pod_name == pod);
        let zone = planned.expect("planned").availability_zone.clone();
        self.serial += 1;
        let hsm_id = format!("hsm-{}", self.serial);
        let volume = self.volume(pod);
        volume.state = HsmState::Assigned;
        volume.hsm_id = Some(hsm_id);
        volume.cluster_id = Some(CLUSTER.into());
        volume.availability_zone = zone;
    }

    /// Applies steps until there is nothing to do; returns them.
    pub(super) fn run(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            let step = next_step(&self.observed);
            if matches!(step, Step::Wait(_) | Step::Blocked(_) | Step::Done) {
                steps.push(step);
                return steps;
            }
            self.apply(&step);
            steps.push(step);
            assert!(steps.len() < 60, "does not end: {steps:?}");
        }
    }
}

fn secret_made(step: &Step) -> Option<SecretName> {
    match step {
        Step::MakeOperatorAuthority => Some(SecretName::OperatorAuthority),
        Step::CertifyPods => Some(SecretName::Pods),
        Step::MakeSealingShare => Some(SecretName::SealingShare),
        Step::MakeCustomerAuthority => Some(SecretName::CustomerAuthority),
        Step::MakeOfficer => Some(SecretName::Officer),
        Step::MakeControllersClient => Some(SecretName::ControllersClient),
        Step::MakeRing => Some(SecretName::Ring),
        _ => None,
    }
}
