//! Claims that removed stores left in HSMs which were away: noted when the store goes, given back in its stead when another store meets such an HSM
//! (INV-41, INV-44).
//!
//! That nobody here knows a claim's holder does not prove that it is gone: it may live in another Kubernetes cluster, or in the future of an etcd
//! that was rolled back. What proves it is the note of the holder's own finalizer. The notes are one ConfigMap per cluster in the vault namespace,
//! beside the recovery records; like those they are never deleted, because an HSM may come back at any time.

use std::collections::BTreeSet;

use hsm_client::{HsmError, ReturnCode, Session};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ListParams, ObjectMeta},
};
use operator_api::{CustomKeyStore, labels};
use operator_domain::connection::left_claim::{LeftClaim, abandoned};
use serde_json::json;

use super::{
    delegates::{self, CommandError, Connection},
    error::StoreError,
};
use crate::{
    context::Context,
    effect::{self, Site},
    read::ReadError,
    report::Controller,
};

/// Notes that HSMs of the cluster may keep the claim of this store, which is being removed. Call it before the finalizer goes. Idempotent.
///
/// # Errors
/// When the note is not certain to be stored; the store must wait then.
pub(super) async fn note(context: &Context, cluster_id: &str, connection: &Connection) -> Result<(), StoreError> {
    let (api, writes) = (api(context), context.writes(Controller::CustomKeyStore));
    let (store_id, generation) = (&connection.store_id, connection.generation.to_string());
    match read(&api, cluster_id).await? {
        None => {
            let map = config_map(cluster_id, store_id, &generation);
            effect::at(Site::StoreRecord, writes.create(&api, &map)).await?;
        }
        Some(stored) if stored.data.as_ref().and_then(|data| data.get(store_id)) == Some(&generation) => {}
        Some(stored) => {
            let patch = json!({ "data": { store_id: generation } });
            effect::at(Site::StoreRecord, writes.patch(&api, &stored, patch)).await?;
        }
    }
    Ok(())
}

/// Ends the claim on this HSM if a removed store left it there, and the delegates of that store's connections with it.
///
/// # Errors
/// As a control command. That the claim is of a store that lives, or of an unknown one, is no error: then it stays.
pub(super) async fn end(context: &Context, session: &Session) -> Result<(), CommandError> {
    let left = noted(context, &session.identity().cluster_id).await?;
    if left.is_empty() {
        return Ok(());
    }
    let living = living(context).await?;
    for claim in abandoned(&left, &living) {
        let gone = Connection { store_id: claim.store_id.to_string(), generation: claim.generation };
        // First, because nobody comes back for them once the claim is free.
        delegates::drop_generation(context, session, &gone).await?;
        match delegates::release(context, session, &gone).await {
            Ok(()) => {
                tracing::info!(hsm = session.identity().hsm_id, store = gone.store_id, "ended a removed store's claim");
                return Ok(());
            }
            // It is not this one's.
            Err(CommandError::Hsm(HsmError::Refused(ReturnCode::ClaimHeld))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn noted(context: &Context, cluster_id: &str) -> Result<Vec<LeftClaim>, StoreError> {
    let notes = read(&api(context), cluster_id).await?.and_then(|stored| stored.data).unwrap_or_default();
    Ok(notes.iter().filter_map(|(store_id, generation)| LeftClaim::noted(store_id, generation)).collect())
}

/// The ids of all stores, by a quorum read.
async fn living(context: &Context) -> Result<BTreeSet<String>, StoreError> {
    let api = Api::<CustomKeyStore>::all(context.client.clone());
    let stores = api.list(&ListParams::default()).await.map_err(ReadError::of("all CustomKeyStores"))?;
    Ok(stores.items.into_iter().filter_map(|store| store.spec.custom_key_store_id).collect())
}

async fn read(api: &Api<ConfigMap>, cluster_id: &str) -> Result<Option<ConfigMap>, StoreError> {
    let what = format!("the claims that stores left in the HSMs of {cluster_id}");
    Ok(api.get_opt(&name(cluster_id)).await.map_err(ReadError::of(what))?)
}

fn name(cluster_id: &str) -> String {
    format!("left-claims.{cluster_id}")
}

fn config_map(cluster_id: &str, store_id: &str, generation: &str) -> ConfigMap {
    let labels = [(labels::CLUSTER_ID, cluster_id), (labels::MANAGED_BY, labels::OPERATOR)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let metadata = ObjectMeta { name: Some(name(cluster_id)), labels: Some(labels), ..ObjectMeta::default() };
    let data = [(store_id.to_owned(), generation.to_owned())].into();
    ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }
}

fn api(context: &Context) -> Api<ConfigMap> {
    Api::namespaced(context.client.clone(), &context.namespaces().vault)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is noted is what counts later: store and generation as they went into the ConfigMap.
    #[test]
    fn a_note_is_read_as_it_was_written() {
        let map = config_map("cluster-abcdefghijk", "cks-0123456789abcdef0", "1700000000");
        assert_eq!(map.metadata.name.as_deref(), Some("left-claims.cluster-abcdefghijk"));
        let data = map.data.unwrap();
        let read: Vec<_> = data.iter().filter_map(|(id, generation)| LeftClaim::noted(id, generation)).collect();
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].store_id.as_str(), read[0].generation), ("cks-0123456789abcdef0", 1_700_000_000));
    }
}
