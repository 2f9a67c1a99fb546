//! Telling an object that its owner removed from one that went along with its namespace or its definition: the first is not to come back.
//!
//! Both markers are set before the first object in them is touched, so a look after an object's `deletionTimestamp` sees them.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::Api;
use operator_api::{GROUP, RecordedKind, RecoveryRecord};

use super::{RecoveryError, keep, lookup};
use crate::{context::Context, effect::Site, read::ReadError, report::Controller};

/// Notes in the record of an object that is being deleted that it was removed on its own, if so. Call it before the finalizer goes.
///
/// # Errors
/// [`RecoveryError`]; the object must wait then.
pub async fn note_removal(
    context: &Context,
    controller: Controller,
    site: Site,
    object: &RecoveryRecord,
) -> Result<(), RecoveryError> {
    let Some(kind) = object.kind() else { return Ok(()) };
    if goes_along(context, kind, object.namespace()).await? {
        return Ok(());
    }
    for recorded in lookup(context, kind, object.namespace(), object.name()).await? {
        if recorded.identity() == object.identity() && recorded.removed.is_none() {
            let removed = RecoveryRecord { removed: Some(Time(Timestamp::now())), ..recorded };
            keep(context, controller, site, &removed).await?;
        }
    }
    Ok(())
}

/// Whether the namespace or the definition is going: then nobody decided about this object.
async fn goes_along(context: &Context, kind: RecordedKind, namespace: &str) -> Result<bool, RecoveryError> {
    let namespaces = Api::<Namespace>::all(context.client.clone());
    let namespace = namespaces.get_opt(namespace).await.map_err(ReadError::of(format!("namespace {namespace}")))?;
    let definition = format!("{}.{GROUP}", kind.plural());
    let definitions = Api::<CustomResourceDefinition>::all(context.client.clone());
    let definition =
        definitions.get_opt(&definition).await.map_err(ReadError::of(format!("definition {definition}")))?;
    let stays = namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none())
        && definition.is_some_and(|definition| definition.metadata.deletion_timestamp.is_none());
    Ok(!stays)
}
