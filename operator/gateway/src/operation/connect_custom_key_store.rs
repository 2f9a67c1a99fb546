//! ConnectCustomKeyStore: asks for the connection; the controllers make it (spec 2.6).

use operator_api::ConnectionState;

use super::{Answer, Call, store_access};
use crate::error::{ApiError, ErrorCode};

/// Runs ConnectCustomKeyStore. In CONNECTING and CONNECTED it changes nothing and succeeds (spec 2.2).
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let (id, store) = store_access::addressed(call).await?;
    store_access::require_state(
        &store,
        &[ConnectionState::Disconnected, ConnectionState::Connecting, ConnectionState::Connected],
    )?;
    if store.state == ConnectionState::Disconnected {
        // Fast failures: the state stays DISCONNECTED. A deleted cluster is a late one (spec 2.6).
        if let Some(cluster) = store_access::cluster(call, &store) {
            if !cluster.active {
                return Err(ApiError::new(ErrorCode::CloudHsmClusterNotActive, "The CloudHSM cluster is not ACTIVE."));
            }
            store_access::require_zones(Some(&cluster), 1)?;
        }
        call.require_audit()?;
        let connected = call.gateway.control.connect(&call.caller.tenant.namespace, &store.name).await;
        connected.map_err(|error| store_access::unchanged(&error, &id))?;
    }
    Ok(b"{}".to_vec().into())
}
