//! The volumes behind the claims of a cluster's pods.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Api;

use super::super::build::statefulset::DATA;
use super::super::failure::ClusterError;
use crate::context::Context;
use crate::read::ReadError;

/// The bound volumes. A pod that runs has one, so every HSM that answers is covered.
pub(super) async fn bound(context: &Context, pods: &[String]) -> Result<Vec<PersistentVolume>, ClusterError> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &context.namespaces().hsm);
    let volumes: Api<PersistentVolume> = Api::all(context.client.clone());
    let mut found = Vec::new();
    for pod in pods {
        let claim = claims.get_opt(&format!("{DATA}-{pod}")).await.map_err(ReadError::of("a volume claim"))?;
        let Some(name) = claim.and_then(|claim| claim.spec).and_then(|spec| spec.volume_name) else { continue };
        found.extend(volumes.get_opt(&name).await.map_err(ReadError::of("a volume"))?);
    }
    Ok(found)
}
