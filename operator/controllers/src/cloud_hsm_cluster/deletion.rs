//! What the end of a `CloudHsmCluster` object means: nothing for the key material (`INV-12`).

use kube::Api;
use kube::runtime::events::EventType;
use operator_api::CloudHsmCluster;
use operator_api::labels::CLUSTER_FINALIZER;

use super::failure::ClusterError;
use crate::context::Context;
use crate::report::{self, Controller};

/// Says what stays, and lets the object go. The chart's admission policy refuses the deletion while keys exist; if that was bypassed,
/// StatefulSet, volumes and Secrets still stay, and a new object with the same `spec.clusterId` finds them.
pub(super) async fn let_go(context: &Context, cluster: &CloudHsmCluster) -> Result<(), ClusterError> {
    let namespace = cluster.metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<CloudHsmCluster> = Api::namespaced(context.client.clone(), namespace);
    if let Some(cluster_id) = &cluster.spec.cluster_id {
        let hsms = &context.namespaces().hsm;
        let note = format!(
            "the HSMs of {cluster_id} and their keys stay: StatefulSet, volumes and Secrets in namespace {hsms} were not touched"
        );
        report::event(context, cluster, EventType::Warning, "MaterialKept", &note).await;
        context.certificate_ends.forget(&context.metrics.certificate_ends, cluster_id);
    }
    context.writes(Controller::CloudHsmCluster).remove_finalizer(&api, cluster, CLUSTER_FINALIZER).await?;
    Ok(())
}
