//! What must hold of every StatefulSet that we make, whatever the owner declares.

use super::super::super::validate::tests::desired;
use super::*;
use k8s_openapi::api::core::v1::PodSpec;
use operator_api::labels;
use proptest::prelude::*;

fn built(zones: &[&str]) -> StatefulSetSpec {
    stateful_set(&desired(zones), "keystore-hsm", None).spec.unwrap()
}

fn pod(zones: &[&str]) -> PodSpec {
    built(zones).template.spec.unwrap()
}

/// D18, D19, INV-12.
#[test]
fn pods_start_in_parallel_update_on_delete_and_leave_their_volumes_behind() {
    let spec = built(&["a", "b", "c"]);
    assert_eq!(spec.replicas, Some(3));
    assert_eq!(spec.pod_management_policy.as_deref(), Some("Parallel"));
    assert_eq!(spec.update_strategy.unwrap().type_.as_deref(), Some("OnDelete"));
    let retention = spec.persistent_volume_claim_retention_policy.unwrap();
    assert_eq!((retention.when_deleted.as_deref(), retention.when_scaled.as_deref()), (Some("Retain"), Some("Retain")));
}

/// INV-73, D19.
#[test]
fn a_volume_belongs_to_one_pod_and_to_no_owner() {
    let set = stateful_set(&desired(&["a"]), "keystore-hsm", None);
    assert_eq!(set.metadata.owner_references, None);
    let claim = &set.spec.unwrap().volume_claim_templates.unwrap()[0];
    assert_eq!(claim.metadata.owner_references, None);
    assert_eq!(claim.spec.as_ref().unwrap().access_modes.as_deref(), Some(&["ReadWriteOncePod".to_owned()][..]));
}

/// D18: spread constraints alone can put two HSMs in one zone.
#[test]
fn no_two_hsms_share_a_zone_and_none_runs_outside_the_listed_zones() {
    let affinity = pod(&["a", "b"]).affinity.unwrap();
    let apart = affinity.pod_anti_affinity.unwrap().required_during_scheduling_ignored_during_execution.unwrap();
    assert_eq!(apart.len(), 1);
    assert_eq!(apart[0].topology_key, labels::TOPOLOGY_ZONE);
    assert_eq!(apart[0].label_selector.as_ref().unwrap(), &built(&["a", "b"]).selector);
    let node = affinity.node_affinity.unwrap().required_during_scheduling_ignored_during_execution.unwrap();
    let zones = &node.node_selector_terms[0].match_expressions.as_ref().unwrap()[0];
    assert_eq!((zones.key.as_str(), zones.operator.as_str()), (labels::TOPOLOGY_ZONE, "In"));
    assert_eq!(zones.values.as_deref(), Some(&["a".to_owned(), "b".to_owned()][..]));
}

#[test]
fn an_hsm_process_may_stand_still_for_a_minute_before_it_is_killed() {
    let liveness = pod(&["a"]).containers[0].liveness_probe.clone().unwrap();
    assert!(liveness.period_seconds.unwrap() * liveness.failure_threshold.unwrap() >= 60);
}

#[test]
fn each_pod_sees_its_own_certificate_and_key_only() {
    let pod = pod(&["a"]);
    let mounts = pod.containers[0].volume_mounts.clone().unwrap();
    for mount in mounts.iter().filter(|mount| mount.name == "pods") {
        let own = mount.sub_path_expr.as_deref().is_some_and(|path| path.starts_with("$(POD_NAME)."));
        assert!(own || mount.sub_path.as_deref() == Some("operator-ca.crt"), "{}", mount.mount_path);
    }
}

#[test]
fn volume_claims_of_an_existing_stateful_set_are_kept_because_they_cannot_be_changed() {
    let first = built(&["a"]).volume_claim_templates.unwrap();
    let mut grown = desired(&["a"]);
    grown.storage_size = "5Gi".into();
    let second = stateful_set(&grown, "keystore-hsm", Some(first.clone())).spec.unwrap();
    assert_eq!(second.volume_claim_templates, Some(first));
}

proptest! {
    /// The restricted pod security standard, and no way onto the node, for any list of zones.
    #[test]
    fn every_pod_is_restricted(zones in proptest::collection::btree_set("[a-z]{1,8}", 0..10)) {
        let zones: Vec<_> = zones.iter().map(String::as_str).collect();
        let pod = pod(&zones);
        prop_assert_eq!(pod.host_network, None);
        prop_assert_eq!(pod.host_pid, None);
        prop_assert_eq!(pod.host_ipc, None);
        prop_assert_eq!(pod.automount_service_account_token, Some(false));
        prop_assert!(pod.volumes.unwrap().iter().all(|volume| volume.host_path.is_none()));
        let context = pod.security_context.unwrap();
        prop_assert_eq!((context.run_as_non_root, context.run_as_user), (Some(true), Some(65532)));
        prop_assert_eq!(context.seccomp_profile.unwrap().type_, "RuntimeDefault");
        prop_assert_eq!(pod.containers.len(), 1);
        let container = &pod.containers[0];
        prop_assert!(container.resources.as_ref().unwrap().requests.is_some());
        prop_assert!(container.ports.as_ref().unwrap().iter().all(|port| port.host_port.is_none()));
        let context = container.security_context.clone().unwrap();
        prop_assert_eq!(context.read_only_root_filesystem, Some(true));
        prop_assert_eq!(context.allow_privilege_escalation, Some(false));
        prop_assert_eq!(context.capabilities.unwrap().drop, Some(vec!["ALL".to_owned()]));
    }
}
