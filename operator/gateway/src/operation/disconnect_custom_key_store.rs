//! DisconnectCustomKeyStore: the safe direction, which always works (spec 2.8, D17).

use operator_api::ConnectionState;

use super::{Answer, Call, store_access};
use crate::error::ApiError;

/// Runs DisconnectCustomKeyStore.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let (id, store) = store_access::addressed(call).await?;
    store_access::require_state(
        &store,
        &[ConnectionState::Connected, ConnectionState::Connecting, ConnectionState::Failed],
    )?;
    call.require_audit()?;
    let (namespace, arn) = (&call.caller.tenant.namespace, call.caller.arn());
    let disconnected = call.gateway.control.disconnect(namespace, &store.name, arn).await;
    disconnected.map_err(|error| store_access::unchanged(&error, &id))?;
    Ok(b"{}".to_vec().into())
}
