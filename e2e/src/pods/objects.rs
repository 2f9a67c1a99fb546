//! The Kubernetes objects that a scheduler, a kubelet and a provisioner would write for the bench's pods.

use std::net::Ipv4Addr;

use anyhow::Result;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ZONES;
use super::template::pod_spec;

pub(super) async fn make_nodes(client: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    for zone in ZONES {
        let labels = json!({
            "topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": "local-1",
            "kubernetes.io/hostname": format!("node-{zone}"),
        });
        let node = json!({ "metadata": { "name": format!("node-{zone}"), "labels": labels } });
        create(&nodes, node).await?;
    }
    Ok(())
}

/// Makes the Pod of one ordinal, on the node of its zone, and its bound claim where that is missing.
pub(super) async fn make_pod(
    client: &Client,
    namespace: &str,
    set: &StatefulSet,
    name: &str,
    ordinal: usize,
    address: Ipv4Addr,
) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    ensure_claims(client, namespace, set, name).await?;
    let mut spec = serde_json::to_value(pod_spec(set)?)?;
    spec["nodeName"] = json!(format!("node-{}", zone_of(set, ordinal)));
    // As the StatefulSet controller does: each claim template becomes a volume of the pod.
    for template in set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten()) {
        let claim = format!("{}-{name}", template.name_any());
        let volume = json!({ "name": template.name_any(), "persistentVolumeClaim": { "claimName": claim } });
        match spec["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => spec["volumes"] = json!([volume]),
        }
    }
    let labels = set.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref()).map(|meta| meta.labels.clone());
    let owner = json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": set.name_any(),
        "uid": set.uid(), "controller": true }]);
    let pod = json!({ "metadata": { "name": name, "labels": labels, "ownerReferences": owner }, "spec": spec });
    create(&pods, pod).await?;
    report_running(client, namespace, name, address).await
}

/// Writes the pod's address and readiness.
pub(super) async fn report_running(client: &Client, namespace: &str, name: &str, address: Ipv4Addr) -> Result<()> {
    let status = json!({ "status": {
        "phase": "Running", "podIP": address.to_string(), "podIPs": [{ "ip": address.to_string() }],
        "conditions": [{ "type": "Ready", "status": "True" }],
    } });
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

/// The zones that the template's node affinity lists, in order, decide where an ordinal goes.
fn zone_of(set: &StatefulSet, ordinal: usize) -> String {
    let text = serde_json::to_string(&set.spec).unwrap_or_default();
    let listed: Vec<&str> = ZONES.into_iter().filter(|zone| text.contains(zone)).collect();
    listed.get(ordinal % listed.len().max(1)).map_or_else(|| ZONES[ordinal % 3].to_owned(), ToString::to_string)
}

async fn ensure_claims(client: &Client, namespace: &str, set: &StatefulSet, pod: &str) -> Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    for template in set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten()) {
        let name = format!("{}-{pod}", template.name_any());
        let volume = format!("pv-{name}");
        let mut spec = serde_json::to_value(&template.spec)?;
        spec["volumeName"] = json!(volume);
        create(&claims, json!({ "metadata": { "name": name, "labels": template.metadata.labels }, "spec": spec }))
            .await?;
        let body = json!({ "metadata": { "name": volume }, "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "",
            "csi": { "driver": "bench.keystores.dev", "volumeHandle": volume },
            "claimRef": { "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name },
        } });
        create(&volumes, body).await?;
        let bound = Patch::Merge(json!({ "status": { "phase": "Bound" } }));
        claims.patch_status(&name, &PatchParams::default(), &bound).await?;
        volumes.patch_status(&volume, &PatchParams::default(), &bound).await?;
    }
    Ok(())
}

/// Creates an object; one that is there already stays as it is.
async fn create<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
{
    match api.create(&PostParams::default(), &serde_json::from_value(object)?).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
