//! The end of a store: nothing of it may be left that another store would meet (CKS-70, INV-41).

use kube::{Api, ResourceExt, api::ListParams};
use operator_api::{CustomKeyStore, KmsKey, RecordedKind, RecoveryRecord, labels};

use super::{connect, disconnect, error::StoreError, identity, left_claims};
use crate::{
    context::Context,
    effect::Site,
    read::{ReadError, unless_undefined},
    recovery,
    report::Controller,
};

/// Why a DISCONNECTED store cannot go yet: it has keys, those pending deletion included (spec 2.9), or an HSM in service holds its claim. HSMs that
/// are away keep nobody waiting; that they may hold it is noted.
pub(super) async fn obstacle(context: &Context, store: &CustomKeyStore) -> Result<Option<String>, StoreError> {
    let api = Api::<KmsKey>::namespaced(context.client.clone(), &store.namespace().unwrap_or_default());
    let listed = api.list(&ListParams::default()).await.map(|keys| keys.items);
    let keys = unless_undefined(listed).map_err(ReadError::of("the namespace's KmsKeys"))?;
    let name = store.name_any();
    let count =
        keys.iter().filter(|key| key.spec.custom_key_store_ref.as_ref().is_some_and(|it| it.name == name)).count();
    if count > 0 {
        return Ok(Some(format!("{count} KMS keys are in this store; it goes when they are gone")));
    }
    let released = disconnect::release_claims(context, store).await?;
    if !released.holding.is_empty() {
        let holding = released.holding.join(", ");
        return Ok(Some(format!("these HSMs have not given back the store's claim: {holding}")));
    }
    if let Some(cluster_id) = released.left_in {
        left_claims::note(context, &cluster_id, &connect::connection(store)).await?;
    }
    Ok(None)
}

/// Gives the claims back and lets the object go. The cluster, its users and its keys stay (CKS-70).
pub(super) async fn remove(context: &Context, store: &CustomKeyStore) -> Result<(), StoreError> {
    let record = RecoveryRecord::of(RecordedKind::CustomKeyStore, store);
    recovery::note_removal(context, Controller::CustomKeyStore, Site::StoreRecord, &record).await?;
    identity::release_all(context, &store.uid().unwrap_or_default()).await?;
    let api = Api::<CustomKeyStore>::namespaced(context.client.clone(), &store.namespace().unwrap_or_default());
    let writes = context.writes(Controller::CustomKeyStore);
    Ok(writes.remove_finalizer(&api, store, labels::STORE_FINALIZER).await?)
}
