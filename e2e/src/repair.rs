//! What an earlier test, or an earlier run that was killed, may have left behind in the quickstart's store.

use anyhow::Result;
use operator_api::{ConnectionErrorCode, ConnectionState};
use serde_json::json;

use crate::cluster::Cluster;
use crate::officer;
use crate::quickstart::NAME;
use crate::scenario::Tenant;

/// Brings a FAILED store back, as its owner would: nothing leaves FAILED by itself (INV-32).
///
/// # Errors
/// When it does not come back.
pub async fn store(cluster: &Cluster, tenant: &Tenant) -> Result<()> {
    let status = tenant.stores().get(NAME).await?.status.unwrap_or_default();
    if status.connection_state != Some(ConnectionState::Failed) {
        return Ok(());
    }
    tenant.disconnect(NAME).await?;
    if status.connection_error_code == Some(ConnectionErrorCode::UserLockedOut) {
        officer::cure(cluster, tenant, NAME).await?;
    } else {
        tenant.patch_store(NAME, json!({ "spec": { "keyStorePasswordSecretRef": null } })).await?;
    }
    tenant.connect(NAME).await
}
