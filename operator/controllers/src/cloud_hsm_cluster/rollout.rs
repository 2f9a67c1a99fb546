//! Brings pods to the current template, one at a time (D18: `OnDelete` driven by the operator).
//!
//! A pod goes only while every HSM is active and no key is under-replicated (`INV-05`), so the next one waits for the last one's HSM.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::failure::ClusterError;
use crate::context::Context;
use crate::report::Controller;

/// Label by which Kubernetes marks the template that a pod was made from.
const REVISION: &str = "controller-revision-hash";

/// The pod to replace next, if any: the one with the highest ordinal that is not made from the current template.
pub(super) fn next<'a>(stateful_set: &StatefulSet, pods: &[&'a Pod], settled: bool) -> Option<&'a Pod> {
    let status = stateful_set.status.as_ref()?;
    let current = status.update_revision.as_ref()?;
    // Until the StatefulSet controller has seen the newest template, its revision is the old one.
    let seen = status.observed_generation >= stateful_set.metadata.generation;
    if !settled || !seen {
        return None;
    }
    pods.iter().rev().copied().find(|pod| pod.labels().get(REVISION).is_some_and(|revision| revision != current))
}

/// Deletes exactly this pod; the StatefulSet controller makes it anew from the current template, on the same volume.
pub(super) async fn replace(context: &Context, pod: &Pod) -> Result<(), ClusterError> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &context.namespaces().hsm);
    tracing::info!(pod = pod.name_any(), "replacing an HSM pod by one of the current template");
    Ok(context.writes(Controller::CloudHsmCluster).delete(&api, pod).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::StatefulSetStatus;

    fn pod(name: &str, revision: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.metadata.labels = Some([(REVISION.to_owned(), revision.to_owned())].into());
        pod
    }

    fn set(generation: i64, observed: i64) -> StatefulSet {
        let status = StatefulSetStatus {
            update_revision: Some("new".into()),
            observed_generation: Some(observed),
            ..StatefulSetStatus::default()
        };
        let mut set = StatefulSet { status: Some(status), ..StatefulSet::default() };
        set.metadata.generation = Some(generation);
        set
    }

    #[test]
    fn pods_of_an_old_template_go_one_by_one_from_the_highest_ordinal() {
        let (a, b, c) = (pod("p-0", "old"), pod("p-1", "old"), pod("p-2", "new"));
        assert_eq!(next(&set(2, 2), &[&a, &b, &c], true).map(ResourceExt::name_any).as_deref(), Some("p-1"));
        assert_eq!(next(&set(2, 2), &[&c], true), None);
    }

    /// INV-05.
    #[test]
    fn no_pod_goes_while_an_hsm_is_missing_or_a_key_is_under_replicated() {
        assert_eq!(next(&set(2, 2), &[&pod("p-0", "old")], false), None);
    }

    #[test]
    fn no_pod_goes_before_kubernetes_has_seen_the_newest_template() {
        assert_eq!(next(&set(3, 2), &[&pod("p-0", "old")], true), None);
    }
}
