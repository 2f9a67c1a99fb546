//! From a custom key store id to a store of the caller's account, and what its state allows (spec 2.2).

use std::sync::Arc;

use operator_api::ConnectionState;
use serde::Deserialize;

use super::Call;
use crate::authorize::Resource;
use crate::control::ControlError;
use crate::crypto::StoreCrypto;
use crate::error::{ApiError, ErrorCode};
use crate::index::{ClusterEntry, StoreEntry};
use crate::validation::Violations;
use crate::wire;

/// Longest store id (spec 6.3).
pub(super) const LONGEST_ID: usize = 64;
/// Longest store name (spec 6.3).
pub(super) const LONGEST_NAME: usize = 256;

/// Finds a store of the caller's account.
///
/// # Errors
/// `CustomKeyStoreNotFoundException`, the same for a store of another account (INV-60).
pub(super) fn find(call: &Call<'_>, id: &str) -> Result<Arc<StoreEntry>, ApiError> {
    call.caller.tenant.stores.find(id).ok_or_else(|| not_found(id))
}

/// The answer for a store that does not exist here.
pub(super) fn not_found(shown: &str) -> ApiError {
    ApiError::new(ErrorCode::CustomKeyStoreNotFound, format!("Custom key store {shown} does not exist."))
}

/// The connection of the store in this replica, of the generation that the index knows.
pub(super) fn connection(call: &Call<'_>, store: &StoreEntry) -> Option<Arc<dyn StoreCrypto>> {
    let namespace = &call.caller.tenant.namespace;
    call.gateway.stores.store(namespace, &store.custom_key_store_id, store.generation)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoreRequest {
    custom_key_store_id: Option<String>,
}

/// The store that Connect or Disconnect addresses, both of which take nothing but its id, once the caller may use it.
///
/// # Errors
/// A malformed request, `CustomKeyStoreNotFoundException` and `AccessDeniedException`, in this order.
pub(super) async fn addressed(call: &mut Call<'_>) -> Result<(String, Arc<StoreEntry>), ApiError> {
    let request: StoreRequest = wire::read(call.body)?;
    let id = validated_id(call, request.custom_key_store_id)?;
    let store = find(call, &id)?;
    note(call, &store);
    call.authorize(Resource::CustomKeyStores, Some(Arc::clone(&store.name)), &id).await?;
    Ok((id, store))
}

fn validated_id(call: &mut Call<'_>, id: Option<String>) -> Result<String, ApiError> {
    call.notes.parameters.custom_key_store_id.clone_from(&id);
    let mut violations = Violations::default();
    violations.required("customKeyStoreId", id.is_some());
    violations.text("customKeyStoreId", id.as_deref(), 1, LONGEST_ID);
    violations.finish()?;
    Ok(id.unwrap_or_default())
}

/// Notes the store for the record (spec 5.3).
pub(super) fn note(call: &mut Call<'_>, store: &StoreEntry) {
    call.notes.additional.custom_key_store_name = Some(store.friendly_name.clone());
    call.notes.additional.cluster_id.clone_from(&store.cloud_hsm_cluster_id);
}

/// The state as the AWS API counts it: between a Disconnect call and the controllers' first step the store is already
/// on its way, whatever its status still says.
pub(super) fn state(store: &StoreEntry) -> ConnectionState {
    match store.state {
        ConnectionState::Connected | ConnectionState::Connecting | ConnectionState::Failed
            if !store.wants_connection =>
        {
            ConnectionState::Disconnecting
        }
        state => state,
    }
}

/// Refuses the operation unless the store's state is one of `allowed`.
pub(super) fn require_state(store: &StoreEntry, allowed: &[ConnectionState]) -> Result<(), ApiError> {
    let state = state(store);
    if allowed.contains(&state) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::CustomKeyStoreInvalidState,
        format!(
            "The operation is not valid for custom key store {} while its connection state is {}.",
            store.custom_key_store_id,
            state.as_str()
        ),
    ))
}

/// The cluster behind the store, as far as the index knows it.
pub(super) fn cluster(call: &Call<'_>, store: &StoreEntry) -> Option<Arc<ClusterEntry>> {
    call.caller.tenant.clusters.find(&*store.cluster_name)
}

/// Refuses unless HSMs are active in at least `zones` different zones (D8).
pub(super) fn require_zones(cluster: Option<&ClusterEntry>, zones: usize) -> Result<(), ApiError> {
    if cluster.is_some_and(|cluster| cluster.active_zones.len() >= zones) {
        return Ok(());
    }
    let text = match zones {
        1 => "The CloudHSM cluster has no active HSM.",
        _ => "The CloudHSM cluster needs active HSMs in at least two Availability Zones.",
    };
    Err(ApiError::new(ErrorCode::CloudHsmClusterInvalidConfiguration, text))
}

/// What the caller is told when the change to the store was not made (D17).
pub(super) fn unchanged(error: &ControlError, id: &str) -> ApiError {
    match error {
        ControlError::Pinned { manager } => ApiError::new(
            ErrorCode::CustomKeyStoreInvalidState,
            format!("The connection of custom key store {id} is pinned by manifest (field manager {manager})."),
        ),
        ControlError::Gone => not_found(id),
        ControlError::Exists | ControlError::Refused | ControlError::Unreachable => {
            tracing::warn!(%error, "a store was not changed");
            ApiError::internal()
        }
    }
}
