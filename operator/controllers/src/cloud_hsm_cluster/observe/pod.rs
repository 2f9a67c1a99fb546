//! An HSM's pod: its address, its zone, the version of its template.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Node, Pod as KubePod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use operator_api::cloud_hsm_cluster::Hsm;
use operator_api::labels;

use super::super::failure::ClusterError;
use crate::context::Context;
use crate::read::ReadError;

/// A pod that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Pod {
    /// Its address. HSMs are dialled by it: each is a certain one, and a name would add a resolver to the path.
    pub(in super::super) ip: IpAddr,
    /// Zone of its node; the pod itself cannot read it (D18).
    pub(in super::super) zone: String,
}

impl Pod {
    pub(in super::super) fn client_address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, Hsm::CLIENT_PORT)
    }

    pub(in super::super) fn peer_address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, Hsm::PEER_PORT)
    }
}

/// All pods of a cluster, by a quorum read.
pub(super) async fn list(context: &Context, cluster_id: &str) -> Result<Vec<KubePod>, ClusterError> {
    let api: Api<KubePod> = Api::namespaced(context.client.clone(), &context.namespaces().hsm);
    let selector = format!("{}={cluster_id},{}={}", labels::CLUSTER_ID, labels::APP_NAME, labels::APP_HSM_SIM);
    let listed = api.list(&ListParams::default().labels(&selector)).await;
    Ok(listed.map_err(ReadError::of("the pods"))?.items)
}

/// The pod as it runs, or what it waits for.
pub(super) async fn running(context: &Context, pod: &KubePod) -> Result<Result<Pod, &'static str>, ClusterError> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Ok(Err("the pod is being replaced"));
    }
    let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) else {
        return Ok(Err("the pod waits for a node in a free zone"));
    };
    let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).and_then(|ip| ip.parse().ok());
    let Some(ip) = ip else { return Ok(Err("the pod has no address yet")) };
    let nodes: Api<Node> = Api::all(context.client.clone());
    let found = nodes.get_opt(node).await.map_err(ReadError::of("the node of a pod"))?;
    let zone = found.and_then(|node| node.labels().get(labels::TOPOLOGY_ZONE).cloned());
    let Some(zone) = zone else { return Ok(Err("the pod's node has no zone label")) };
    Ok(Ok(Pod { ip, zone }))
}
