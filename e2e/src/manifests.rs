//! Manifests that are applied without kubectl: by the crash plans, hundreds of times. kubectl spends more on its own start, and on what
//! the API server says of its APIs, than the work costs.

use anyhow::{Context, Result};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

/// kubectl's own name, so that either may apply what the other has applied before.
const FIELD_MANAGER: &str = "kubectl";

/// What `kubectl apply --server-side` does, one after the other. Each object must say its namespace, if its kind has one.
///
/// # Errors
/// With the API server's words when it refuses one.
pub async fn apply(client: &Client, manifests: &str) -> Result<()> {
    for manifest in manifests.split("\n---\n") {
        let manifest: Value = serde_saphyr::from_str(manifest).context("failed to read a manifest")?;
        let object: DynamicObject = serde_json::from_value(manifest).context("a manifest of no object")?;
        let types = object.types.as_ref().context("a manifest without a kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
        let api: Api<DynamicObject> = match object.namespace() {
            Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let (name, parameters) = (object.name_any(), PatchParams::apply(FIELD_MANAGER).validation_strict());
        let applied = api.patch(&name, &parameters, &Patch::Apply(&object)).await;
        applied.with_context(|| format!("failed to apply {} {name}", types.kind))?;
    }
    Ok(())
}
