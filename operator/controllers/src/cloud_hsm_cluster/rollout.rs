//! Brings pods to the current template, one at a time (D18: `OnDelete` driven by the operator).
//!
//! A pod that serves goes only while every HSM is active and no key is under-replicated (`INV-05`), so the next one waits for the last
//! one's HSM. A pod that does not run protects nothing and may go before. Which one goes is decided by the domain.

use hsm_initialization::Observed as Hsms;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use operator_domain::cluster::{PodLife, PodStanding, next_to_replace};

use super::build::statefulset::CONTAINER;
use super::failure::ClusterError;
use super::observe::Observed;
use crate::context::Context;
use crate::report::Controller;

/// Label by which Kubernetes marks the template that a pod was made from.
const REVISION: &str = "controller-revision-hash";

/// The pod to replace next, if any. `hsms`: which of them answered, asked after the pods were read.
pub(super) fn next<'a>(existing: &'a Observed, hsms: &Hsms, settled: bool) -> Option<&'a Pod> {
    let stateful_set = existing.stateful_set.as_ref()?;
    let status = stateful_set.status.as_ref()?;
    let current = status.update_revision.as_ref()?;
    // Until the StatefulSet controller has seen the newest template, its revision is the old one.
    if status.observed_generation < stateful_set.metadata.generation {
        return None;
    }
    let pod_of = |name: &str| existing.pods.iter().find(|pod| pod.name_any() == name);
    let answers = |name: &str| hsms.hsms.iter().any(|hsm| hsm.pod.pod_name == name && hsm.volume.is_some());
    let names: Vec<_> = existing.places.iter().map(|place| place.pod_name.as_str()).collect();
    let standings: Vec<_> = names.iter().map(|name| standing(pod_of(name), current, answers(name))).collect();
    pod_of(names.get(next_to_replace(&standings, settled)?)?)
}

fn standing(pod: Option<&Pod>, current: &str, answers: bool) -> PodStanding {
    let Some(pod) = pod else { return PodStanding { outdated: false, life: PodLife::Absent } };
    let life = if pod.metadata.deletion_timestamp.is_some() {
        PodLife::Absent
    } else if answers {
        PodLife::Answers
    } else if is_down(pod) {
        PodLife::Down
    } else {
        PodLife::Silent
    };
    PodStanding { outdated: pod.labels().get(REVISION).is_some_and(|revision| revision != current), life }
}

/// The kubelet, or the scheduler, says that no process of this pod runs: no node, no image, a container that does not start or has ended.
/// A pod that only failed its probes, or whose node went silent, is not down: its HSM may serve whoever reaches it.
fn is_down(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return true };
    match status.container_statuses.iter().flatten().find(|container| container.name == CONTAINER) {
        Some(container) => container.state.as_ref().is_none_or(|state| state.running.is_none()),
        None => matches!(status.phase.as_deref(), None | Some("Pending" | "Failed")),
    }
}

/// Deletes exactly this version of the pod, so not one that has begun to run since it was read; the StatefulSet controller makes it anew
/// from the current template, on the same volume.
pub(super) async fn replace(context: &Context, pod: &Pod) -> Result<(), ClusterError> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &context.namespaces().hsm);
    tracing::info!(pod = pod.name_any(), "replacing an HSM pod by one of the current template");
    Ok(context.writes(Controller::CloudHsmCluster).delete(&api, pod).await?)
}

#[cfg(test)]
mod tests {
    use super::super::observe::Place;
    use super::*;
    use hsm_initialization::{ClusterPlan, Recorded};
    use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    /// A pod of this template, whose status is what the kubelet said.
    fn pod(name: &str, revision: &str, status: &Value) -> Pod {
        let metadata = json!({ "name": name, "labels": { REVISION: revision } });
        serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
    }

    fn container(state: &Value) -> Value {
        json!({ "phase": "Running", "containerStatuses": [{
            "name": CONTAINER, "image": "hsm", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        }] })
    }

    fn running() -> Value {
        container(&json!({ "running": {} }))
    }

    fn existing(generation: i64, observed: i64, pods: Vec<Pod>) -> Observed {
        let status = StatefulSetStatus {
            update_revision: Some("new".into()),
            observed_generation: Some(observed),
            ..StatefulSetStatus::default()
        };
        let mut set = StatefulSet { status: Some(status), ..StatefulSet::default() };
        set.metadata.generation = Some(generation);
        let place = |ordinal: u8| Place { pod_name: format!("p-{ordinal}"), pod: Err("not asked for here") };
        let places = (0..3).map(place).collect();
        Observed { stateful_set: Some(Box::new(set)), places, pods, volumes: Vec::new() }
    }

    /// No HSM has answered.
    fn silence() -> Hsms {
        let cluster_id = "cluster-abcdefgh2345abcd".into();
        let plan = ClusterPlan { cluster_id, pods: Vec::new(), recorded: Recorded::default() };
        Hsms { plan, secrets: BTreeSet::new(), certified_pods: BTreeSet::new(), hsms: Vec::new() }
    }

    fn name_of(existing: &Observed, settled: bool) -> Option<String> {
        next(existing, &silence(), settled).map(ResourceExt::name_any)
    }

    #[test]
    fn the_pod_that_the_domain_chose_is_found_by_its_place_and_not_by_its_position_in_the_list() {
        let only = existing(2, 2, vec![pod("p-1", "old", &running()), pod("p-2", "new", &running())]);
        assert_eq!(name_of(&only, true).as_deref(), Some("p-1"));
        assert_eq!(name_of(&only, false), None, "INV-05");
    }

    #[test]
    fn no_pod_goes_before_kubernetes_has_seen_the_newest_template() {
        assert_eq!(name_of(&existing(3, 2, vec![pod("p-0", "old", &running())]), true), None);
    }

    #[test]
    fn a_missing_pod_is_one_of_the_current_template_that_has_proven_nothing_yet() {
        let waiting = container(&json!({ "waiting": { "reason": "ImagePullBackOff" } }));
        let two = vec![pod("p-0", "old", &waiting), pod("p-1", "old", &waiting)];
        assert_eq!(name_of(&existing(2, 2, two.clone()), false), None);
        let three = existing(2, 2, [two, vec![pod("p-2", "old", &waiting)]].concat());
        assert_eq!(name_of(&three, false).as_deref(), Some("p-2"));
    }

    #[test]
    fn a_pod_is_down_only_when_the_kubelet_or_the_scheduler_says_that_nothing_runs() {
        for (why, status, down) in [
            ("it has no node", json!({ "phase": "Pending" }), true),
            ("its image is not to be had", container(&json!({ "waiting": { "reason": "ErrImagePull" } })), true),
            ("it crashes", container(&json!({ "waiting": { "reason": "CrashLoopBackOff" } })), true),
            ("it has ended", container(&json!({ "terminated": { "exitCode": 2 } })), true),
            ("it was evicted", json!({ "phase": "Failed" }), true),
            ("it runs and fails its probes", running(), false),
            ("it is said to run", json!({ "phase": "Running" }), false),
            ("its node is lost", json!({ "phase": "Unknown" }), false),
        ] {
            let pod = pod("p-0", "old", &status);
            assert_eq!(is_down(&pod), down, "{why}");
            let expected = if down { PodLife::Down } else { PodLife::Silent };
            assert_eq!(standing(Some(&pod), "new", false), PodStanding { outdated: true, life: expected }, "{why}");
            let answering = PodStanding { outdated: false, life: PodLife::Answers };
            assert_eq!(standing(Some(&pod), "old", true), answering, "{why}, and still its HSM answers");
        }
    }

    #[test]
    fn a_pod_that_is_going_is_neither_replaced_again_nor_counted_as_one_that_is_down() {
        let mut going = pod("p-2", "old", &json!({ "phase": "Pending" }));
        going.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(standing(Some(&going), "new", true).life, PodLife::Absent);
    }
}
