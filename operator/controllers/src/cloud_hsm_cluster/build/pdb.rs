//! The PodDisruptionBudget: one HSM at a time, and none while the loss of one could cost a key (`INV-05`).

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Desired, label_selector, metadata};

/// `settled`: every HSM is active and no key is under-replicated.
///
/// A pod that is not ready counts as disrupted already and may always be evicted when the budget allows one healthy pod to go; with
/// nothing allowed, an unhealthy one may not go either, because it may be the only holder of what is being repaired.
pub(in super::super) fn pod_disruption_budget(
    desired: &Desired,
    namespace: &str,
    settled: bool,
) -> PodDisruptionBudget {
    let spec = PodDisruptionBudgetSpec {
        max_unavailable: Some(IntOrString::Int(i32::from(settled))),
        selector: Some(label_selector(&desired.cluster_id)),
        unhealthy_pod_eviction_policy: Some("IfHealthyBudget".into()),
        ..PodDisruptionBudgetSpec::default()
    };
    PodDisruptionBudget {
        metadata: metadata(desired, namespace, desired.cluster_id.clone()),
        spec: Some(spec),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::validate::tests::desired;
    use super::*;

    /// INV-05.
    #[test]
    fn nothing_may_be_disrupted_while_a_key_is_under_replicated() {
        let allowed =
            |settled| pod_disruption_budget(&desired(&["a", "b"]), "n", settled).spec.unwrap().max_unavailable;
        assert_eq!(allowed(false), Some(IntOrString::Int(0)));
        assert_eq!(allowed(true), Some(IntOrString::Int(1)));
    }
}
