//! DisconnectCustomKeyStore: the safe direction, which always works (spec 2.8, D17).

use operator_api::ConnectionState;
use serde::Deserialize;
use std::sync::Arc;
use zeroize::Zeroizing;

use super::{Answer, Call, store_access};
use crate::authorize::Resource;
use crate::error::ApiError;
use crate::wire;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    custom_key_store_id: Option<String>,
}

/// Runs DisconnectCustomKeyStore.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    let id = store_access::validated_id(call, request.custom_key_store_id)?;
    let store = store_access::find(call, &id)?;
    store_access::note(call, &store);
    call.authorize(Resource::CustomKeyStores, Some(Arc::clone(&store.name)), &id).await?;
    store_access::require_state(
        &store,
        &[ConnectionState::Connected, ConnectionState::Connecting, ConnectionState::Failed],
    )?;
    call.require_audit()?;
    let (namespace, arn) = (&call.caller.tenant.namespace, call.caller.arn());
    let disconnected = call.gateway.control.disconnect(namespace, &store.name, arn).await;
    disconnected.map_err(|error| store_access::unchanged(&error, &id))?;
    Ok(Zeroizing::new(b"{}".to_vec()))
}
