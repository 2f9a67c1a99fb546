//! The states of a cluster over its life, and over the loss of its HSMs.

use super::super::observe::{Place, Pod};
use super::super::plan::plan;
use super::super::validate::tests::{cluster, desired};
use super::*;
use hsm_client::command::{HsmState as VolumeState, UserInfo, UserType};
use hsm_client::provisioning::VolumeIdentity;
use hsm_initialization::{Blocked, ObservedUsers, Waiting};
use operator_api::cloud_hsm_cluster::HSMS_LISTED;
use std::collections::BTreeSet;

const ZONES: [&str; 3] = ["local-1a", "local-1b", "local-1c"];

fn now(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn volume(ordinal: u8, state: VolumeState) -> VolumeIdentity {
    VolumeIdentity {
        state,
        identity_fingerprint: [ordinal; 32],
        host_certificate_fingerprint: [ordinal; 32],
        hsm_id: (state != VolumeState::Blank).then(|| format!("hsm-aaaaaaaaaa{}", ordinal + 2)),
        cluster_id: Some("cluster-abcdefgh2345abcd".into()),
        availability_zone: Some(ZONES[usize::from(ordinal)].into()),
        incarnation: 1,
        cluster_certificate: (state == VolumeState::Active).then(|| "PEM".into()),
        roster_version: 0,
        roster_digest: Vec::new(),
        pod_certificate_fingerprint: Vec::new(),
    }
}

fn user(user_type: UserType) -> UserInfo {
    UserInfo { user_type, epoch: 1, failures: 0, locked: false, foreign_sessions: 0, last_op_id: Vec::new() }
}

/// Three places whose volumes are in these states; `None` is silent.
fn observed(cluster: &CloudHsmCluster, states: [Option<VolumeState>; 3]) -> Observed {
    let place = |ordinal: u8| Place {
        pod_name: format!("cluster-abcdefgh2345abcd-{ordinal}"),
        pod: Ok(Pod {
            ip: std::net::Ipv4Addr::new(127, 0, 0, 11 + ordinal).into(),
            zone: ZONES[usize::from(ordinal)].into(),
        }),
    };
    let places: Vec<_> = (0..3).map(place).collect();
    let (plan, _) = plan(cluster, &desired(&ZONES), &places);
    let hsms = (0u8..)
        .zip(plan.pods.clone())
        .zip(states)
        .map(|((ordinal, pod), state)| hsm_initialization::ObservedHsm {
            pod,
            volume: state.map(|state| volume(ordinal, state)),
            users: (state == Some(VolumeState::Active))
                .then(|| ObservedUsers { officer: Some(user(UserType::Co)), kmsuser: Some(user(UserType::Cu)) }),
            trouble: state.is_none().then(|| "connection refused".into()),
        })
        .collect();
    Observed { plan, secrets: BTreeSet::new(), certified_pods: BTreeSet::new(), hsms }
}

fn findings(cluster: &CloudHsmCluster, states: [Option<VolumeState>; 3], step: Step) -> Findings {
    let observed = Some(observed(cluster, states));
    Findings { zones: 3, is_new: Some(false), observed, step: Some(step), ..Findings::default() }
}

fn initialized() -> CloudHsmCluster {
    let mut cluster = cluster(&ZONES);
    cluster.spec.initialization_intent = Some(operator_api::cloud_hsm_cluster::InitializationIntent::default());
    cluster.spec.cluster_certificate_fingerprint = Some("ab".repeat(32));
    cluster
}

fn condition(status: &CloudHsmClusterStatus, kind: &str) -> (String, String) {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    (found.status.clone(), found.reason.clone())
}

const ACTIVE: Option<VolumeState> = Some(VolumeState::Active);
const ASSIGNED: Option<VolumeState> = Some(VolumeState::Assigned);
const BLANK: Option<VolumeState> = Some(VolumeState::Blank);

/// Spec 1.2.
#[test]
fn the_states_pass_in_their_documented_order() {
    let mut cluster = cluster(&ZONES);
    let wait = || Step::Wait(Waiting::Pods(Vec::new()));
    let state = |cluster: &CloudHsmCluster, states| status(cluster, &findings(cluster, states, wait()), now(1)).state;
    assert_eq!(state(&cluster, [None; 3]), Some(ClusterState::CreateInProgress));
    assert_eq!(state(&cluster, [BLANK; 3]), Some(ClusterState::CreateInProgress));
    assert_eq!(state(&cluster, [ASSIGNED; 3]), Some(ClusterState::Uninitialized));
    cluster.spec.initialization_intent = initialized().spec.initialization_intent;
    assert_eq!(state(&cluster, [ASSIGNED; 3]), Some(ClusterState::InitializeInProgress));
    assert_eq!(
        state(&initialized(), [Some(VolumeState::Initialized), ASSIGNED, ASSIGNED]),
        Some(ClusterState::Initialized)
    );
    assert_eq!(state(&initialized(), [ACTIVE, ASSIGNED, ASSIGNED]), Some(ClusterState::Active));
}

/// D8, HSM-1, HSM-2: one active HSM is enough to connect to.
#[test]
fn a_cluster_stays_active_while_one_hsm_is_and_is_degraded_when_none_is() {
    let mut cluster = initialized();
    for (states, want, active) in [
        ([ACTIVE, ACTIVE, ACTIVE], ClusterState::Active, 3),
        ([ACTIVE, None, None], ClusterState::Active, 1),
        ([None, None, None], ClusterState::Degraded, 0),
        ([None, ACTIVE, None], ClusterState::Active, 1),
    ] {
        let status = status(&cluster, &findings(&cluster, states, Step::Done), now(1));
        assert_eq!((status.state, status.active_hsms), (Some(want), Some(active)), "{states:?}");
        assert_eq!(status.hsms.len(), 3, "a silent HSM stays listed");
        cluster.status = Some(status);
    }
}

#[test]
fn a_silent_hsm_is_degraded_says_why_and_keeps_its_address() {
    let mut cluster = initialized();
    cluster.status = Some(status(&cluster, &findings(&cluster, [ACTIVE; 3], Step::Done), now(1)));
    let status = status(&cluster, &findings(&cluster, [ACTIVE, ACTIVE, None], Step::Done), now(2));
    let silent = &status.hsms[2];
    assert_eq!((silent.state, silent.eni_ip.as_deref()), (HsmState::Degraded, Some("127.0.0.13")));
    assert!(silent.state_message.as_deref().is_some_and(|message| message.contains("refused")));
    assert_eq!(condition(&status, "HsmsReady"), ("False".into(), "HsmsMissing".into()));
    assert_eq!(condition(&status, "Ready").0, "False");
}

/// INV-01: a pod on a new volume is another HSM; the old one is not listed any more.
#[test]
fn an_emptied_member_disappears_until_it_has_a_new_identity() {
    let mut cluster = initialized();
    cluster.status = Some(status(&cluster, &findings(&cluster, [ACTIVE; 3], Step::Done), now(1)));
    let status = status(&cluster, &findings(&cluster, [ACTIVE, BLANK, ACTIVE], Step::Done), now(2));
    assert_eq!(status.hsms.len(), 2);
    assert_eq!(status.state, Some(ClusterState::Active));
}

/// INV-08.
#[test]
fn a_blocked_procedure_is_stalled_and_says_why() {
    let cluster = initialized();
    let status = status(&cluster, &findings(&cluster, [BLANK; 3], Step::Blocked(Blocked::Emptied)), now(1));
    assert_eq!(condition(&status, "Stalled"), ("True".into(), "Blocked".into()));
    assert!(status.state_message.unwrap().contains("restore"));
}

#[test]
fn a_reconcile_that_could_not_look_takes_nothing_back() {
    let mut cluster = initialized();
    let before = status(&cluster, &findings(&cluster, [ACTIVE; 3], Step::Done), now(1));
    cluster.status = Some(before.clone());
    let failed = Findings { zones: 3, failure: Some(("ApiUnavailable", "no answer".into())), ..Findings::default() };
    let status = status(&cluster, &failed, now(2));
    assert_eq!((status.state, &status.hsms), (before.state, &before.hsms));
    assert_eq!(status.state_message.as_deref(), Some("no answer"));
    assert_eq!(condition(&status, "Accepted").0, "True");
    cluster.metadata.generation = Some(2);
    let status = super::status(&cluster, &failed, now(3));
    assert_eq!(condition(&status, "Accepted").0, "Unknown", "nobody has looked at this spec");
    let refused = Findings { invalid: Some(("ZoneRemoved", "put c back".into())), ..Findings::default() };
    cluster.status = Some(super::status(&cluster, &refused, now(4)));
    let status = super::status(&cluster, &failed, now(5));
    assert_eq!(condition(&status, "Accepted"), ("False".into(), "NotObserved".into()));
}

#[test]
fn the_same_findings_give_the_same_status_so_nothing_is_written() {
    let mut cluster = initialized();
    let findings = |cluster: &CloudHsmCluster| findings(cluster, [ACTIVE; 3], Step::Done);
    let first = status(&cluster, &findings(&cluster), now(1));
    cluster.status = Some(first.clone());
    assert_eq!(status(&cluster, &findings(&cluster), now(99)), first);
}

/// INV-05.
#[test]
fn an_hsm_may_go_only_when_all_are_active_and_every_key_is_on_all_of_them() {
    let cluster = initialized();
    for (states, keys, want) in [
        ([ACTIVE; 3], Some(0), true),
        ([ACTIVE; 3], Some(1), false),
        ([ACTIVE; 3], None, false),
        ([ACTIVE, ACTIVE, None], Some(0), false),
    ] {
        let findings = Findings { under_replicated_keys: keys, ..findings(&cluster, states, Step::Done) };
        let status = status(&cluster, &findings, now(1));
        assert_eq!(findings.is_settled(&status), want, "{states:?} {keys:?}");
    }
    let mut cluster = cluster;
    cluster.status = Some(CloudHsmClusterStatus { under_replicated_keys: Some(0), ..Default::default() });
    let unknown = findings(&cluster, [ACTIVE; 3], Step::Done);
    let status = status(&cluster, &unknown, now(1));
    assert_eq!((status.under_replicated_keys, unknown.is_settled(&status)), (Some(0), false), "what was known once");
}

/// A renewal that fails is seen before the certificate ends, with what ends when and why.
#[test]
fn a_certificate_whose_renewal_is_overdue_shows_in_a_condition() {
    use crate::certificate::expiry::CertificateUse;
    let of = |late: &[bool], failure: Option<(&'static str, String)>| {
        let certificate = |late: &bool| Found {
            usage: CertificateUse::GatewayClient,
            name: "cluster-x-client".into(),
            end: operator_domain::Timestamp::from_unix_seconds(1_800_000_000),
            late: *late,
        };
        let findings =
            Findings { certificates: late.iter().map(certificate).collect(), failure, ..Findings::default() };
        let status = status(&cluster(&ZONES), &findings, now(1));
        let found = status.conditions.into_iter().find(|condition| condition.type_ == "CertificatesCurrent");
        found.map(|condition| (condition.status, condition.reason, condition.message))
    };
    let refusing = Findings { refusing_pods: vec!["cluster-x-1".into()], ..Findings::default() };
    let conditions = status(&cluster(&ZONES), &refusing, now(1)).conditions;
    let found = conditions.into_iter().find(|condition| condition.type_ == "CertificatesCurrent").unwrap();
    assert_eq!((found.status.as_str(), found.reason.as_str()), ("False", "CertificateRefused"));
    assert!(found.message.contains("cluster-x-1") && found.message.contains("delete the pod"), "{}", found.message);
    assert_eq!(of(&[], None), None, "there are none before initialisation");
    assert_eq!(of(&[false], None).unwrap().0, "True");
    assert_eq!(of(&[], Some(("ApiUnavailable", "no answer".into()))).unwrap().0, "Unknown");
    let (status, reason, message) = of(&[false, true], Some(("ApiForbidden", "may not write".into()))).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "CertificateExpiresSoon"));
    for part in ["cluster-x-client", "gateway_client", "2027-01-15", "may not write"] {
        assert!(message.contains(part), "{message}");
    }
}

/// D12: what each look finds, one after the other, and whether the list is called complete then. `None`: nothing could be looked at.
#[test]
fn an_object_that_came_back_says_that_hsms_may_be_missing_until_each_pod_had_one_that_answered() {
    let listed = |looks: &[(Option<bool>, [Option<VolumeState>; 3])]| {
        let mut cluster = initialized();
        let each = looks.iter().map(|(is_new, states)| {
            let observed = is_new.map(|_| observed(&cluster, *states));
            let findings = Findings { zones: 3, is_new: *is_new, observed, ..Findings::default() };
            let status = status(&cluster, &findings, now(1));
            let found = status.conditions.iter().find(|condition| condition.type_ == HSMS_LISTED);
            let found = found.map(|condition| condition.status == "True");
            cluster.status = Some(status);
            found
        });
        each.collect::<Vec<_>>()
    };
    let (yes, no) = (Some(true), Some(false));
    let one_away = (no, [ACTIVE, ACTIVE, None]);
    assert_eq!(listed(&[one_away, one_away, (no, [ACTIVE; 3]), one_away]), [no, no, yes, yes], "it came back");
    assert_eq!(listed(&[(yes, [None; 3]), (no, [ACTIVE, BLANK, None])]), [yes, yes], "it was there from the start");
    assert_eq!(listed(&[(None, [None; 3]), one_away, (None, [None; 3])]), [None, no, no]);
    assert_eq!(listed(&[(no, [ACTIVE; 3]), (None, [None; 3])]), [yes, yes], "what is known stays known");
}

/// D2: a copy of a manifest has no HSMs of its own and shows none, whatever its original has.
#[test]
fn a_refused_copy_shows_why_and_no_hsm() {
    let message = "spec.clusterId belongs to CloudHsmCluster original".to_owned();
    let refused = Findings { invalid: Some(("IdInUse", message)), ..Findings::default() };
    let status = status(&initialized(), &refused, now(1));
    assert_eq!(condition(&status, "Accepted"), ("False".into(), "IdInUse".into()));
    assert_eq!(condition(&status, "Stalled"), ("True".into(), "IdInUse".into()));
    assert_eq!((status.hsms.len(), status.state), (0, Some(ClusterState::Initialized)), "not to be connected to");
    assert!(status.state_message.unwrap().contains("CloudHsmCluster original"));
}
