//! Reads what Kubernetes knows of a cluster: StatefulSet, pods and their zones, volumes. Changes nothing; what the HSMs say of
//! themselves is read by the initialisation procedure.

mod pod;
mod volume;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolume, Pod as KubePod};
use kube::{Api, ResourceExt};

use super::build::pod_names;
use super::failure::ClusterError;
use super::validate::Desired;
use crate::context::Context;
use crate::read::ReadError;

pub(super) use pod::Pod;

/// One place of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Name of the pod, whether it exists or not.
    pub(super) pod_name: String,
    /// The pod as it runs, or what it waits for.
    pub(super) pod: Result<Pod, &'static str>,
}

/// What exists.
pub(super) struct Observed {
    /// Boxed, because it is kilobytes that every step of a reconcile would carry along.
    pub(super) stateful_set: Option<Box<StatefulSet>>,
    /// In the order of the pods' ordinals.
    pub(super) places: Vec<Place>,
    /// The pods themselves, likewise.
    pub(super) pods: Vec<KubePod>,
    /// Volumes bound to the cluster's claims.
    pub(super) volumes: Vec<PersistentVolume>,
}

/// Reads the cluster's StatefulSet, by a quorum read: what is to be built depends on what was (INV-03).
pub(super) async fn stateful_set(
    context: &Context,
    cluster_id: &str,
) -> Result<Option<Box<StatefulSet>>, ClusterError> {
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), &context.namespaces().hsm);
    let read = sets.get_opt(cluster_id).await.map_err(ReadError::of("the StatefulSet"))?;
    Ok(read.map(Box::new))
}

/// Reads the rest, by quorum reads: at most one and four per zone.
pub(super) async fn observe(
    context: &Context,
    desired: &Desired,
    stateful_set: Option<Box<StatefulSet>>,
) -> Result<Observed, ClusterError> {
    let names = pod_names(desired);
    let mut pods = pod::list(context, &desired.cluster_id).await?;
    pods.retain(|pod| names.contains(&pod.name_any()));
    pods.sort_by_key(|pod| names.iter().position(|name| *name == pod.name_any()));
    let mut places = Vec::new();
    for name in &names {
        let pod = match pods.iter().find(|pod| pod.name_any() == *name) {
            Some(pod) => pod::running(context, pod).await?,
            None => Err("the pod does not exist yet"),
        };
        places.push(Place { pod_name: name.clone(), pod });
    }
    let volumes = volume::bound(context, &names).await?;
    Ok(Observed { stateful_set, places, pods, volumes })
}
