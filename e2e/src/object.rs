//! One object, of whatever kind: waits until it says something or is gone, and its deletion past the protection.

use std::fmt::Debug;

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use operator_api::labels::UNPROTECT;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::scenario::PATIENCE;
use crate::wait::{Look, until};

/// Waits until the object shows a condition of the type `kind` whose status or reason is `wanted`, and returns the condition.
///
/// # Errors
/// When it takes longer than [`PATIENCE`], or there is no such object.
pub async fn says<K>(objects: &Api<K>, name: &str, kind: &str, wanted: &str) -> Result<Condition>
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    until(&format!("{name} to say {kind} {wanted}"), PATIENCE, || async {
        let mut object = serde_json::to_value(objects.get(name).await?)?;
        let shown: Option<Vec<Condition>> = serde_json::from_value(object["status"]["conditions"].take())?;
        let shown = shown.unwrap_or_default();
        let found = shown.iter().find(|one| one.type_ == kind && (one.status == wanted || one.reason == wanted));
        Ok(found.cloned().map_or_else(|| Look::NotYet(format!("{shown:?}")), Look::Done))
    })
    .await
}

/// Waits until there is no such object.
///
/// # Errors
/// When it takes longer than [`PATIENCE`].
pub async fn gone<K>(objects: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    until(&format!("{name} to be gone"), PATIENCE, || async {
        Ok(objects.get_opt(name).await?.map_or(Look::Done(()), |left| Look::NotYet(format!("{left:?}"))))
    })
    .await
}

/// Deletes what the protection policies are there to keep, past them, as somebody with the right to do so can (D5).
///
/// # Errors
/// When the API server refuses.
pub async fn delete_unprotected<K>(objects: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    let unprotected = json!({ "metadata": { "annotations": { UNPROTECT: "true" } } });
    objects.patch(name, &PatchParams::default(), &Patch::Merge(unprotected)).await?;
    objects.delete(name, &DeleteParams::default()).await?;
    Ok(())
}
