//! CreateKey in a custom key store: writes a `KmsKey`, waits for the controllers, answers (spec 3.5, KEY-30…32).
//!
//! The controllers alone make material. Until they have ordered it, a failure leaves nothing behind: the object is
//! deleted by uid and resource version, so that an order that happens at the same moment wins. After the order the
//! creation is always completed, and a call that cannot wait any longer says so with a fault (design, "Intents").

mod request;

use std::sync::Arc;

use operator_api::ConnectionState;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::key_access::{Key, own};
use super::key_metadata::KeyMetadata;
use super::{Answer, Call, store_access};
use crate::authorize::Resource;
use crate::control::{ControlError, KeyObject};
use crate::error::{ApiError, ErrorCode};
use crate::index::{KeyEntry, Rejection};
use crate::replay::Replay;
use crate::wire;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    key_metadata: KeyMetadata<'a>,
}

/// Runs CreateKey.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let wanted = request::read(call)?;
    let store = store_access::find(call, &wanted.custom_key_store_id)?;
    call.authorize(Resource::KmsKeys, None, "*").await?;
    store_access::require_state(&store, &[ConnectionState::Connected])?;
    store_access::require_zones(store_access::cluster(call, &store).as_deref(), 2)?;
    call.require_audit()?;

    let namespace = Arc::clone(&call.caller.tenant.namespace);
    let order = wanted.order(format!("key-{}", call.signed.name()), &store.name);
    let object = call.gateway.control.create_key(&namespace, order).await.map_err(|error| not_written(&error))?;
    let entry = wait(call, &object).await?;
    let key = own(call, entry).ok_or_else(ApiError::internal)?;
    let published = key.published()?;
    call.notes.additional.backing_key = published
        .backing_key_handle
        .as_ref()
        .map(|handle| serde_json::json!({"keyHandle": handle, "backingKeyId": published.key_id}).to_string());
    respond(call, &key)
}

fn respond(call: &mut Call<'_>, key: &Key) -> Result<Answer, ApiError> {
    let metadata = KeyMetadata::new(call, key)?;
    let record = metadata.for_record();
    let answer = wire::write(&Response { key_metadata: metadata }, 1_024 + key.published()?.description.len() * 2)?;
    call.notes.response = Some(audit::ResponseElements::KeyMetadata(record));
    super::key_access::note(call, key)?;
    Ok(answer)
}

/// Waits until the key is published, refused, or the call's patience ends.
async fn wait(call: &Call<'_>, object: &KeyObject) -> Result<Arc<KeyEntry>, ApiError> {
    let deadline = Instant::now() + call.gateway.key_patience;
    let mut changes = call.gateway.index.watch_keys();
    let mut seen: Option<Arc<KeyEntry>> = None;
    loop {
        let entry = call.caller.tenant.key_object(&object.name).filter(|entry| entry.uid == object.uid);
        match &entry {
            Some(entry) if entry.published.is_some() => return Ok(Arc::clone(entry)),
            Some(entry) => {
                if let Some(rejection) = entry.rejection.as_ref().filter(|_| !entry.ordered) {
                    return Err(give_up(call, object, entry, rejected(rejection)).await);
                }
            }
            // Somebody has deleted the object.
            None if seen.is_some() => return Err(ApiError::internal()),
            None => {}
        }
        seen = entry.or(seen);
        if !matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
            let timed_out = ApiError::new(
                ErrorCode::DependencyTimeout,
                "The system timed out while trying to fulfill the request.",
            );
            return Err(match &seen {
                Some(entry) if !entry.ordered => give_up(call, object, entry, timed_out).await,
                // Ordered, or never seen: the key may yet appear.
                _ => ApiError::internal(),
            });
        }
    }
}

/// Takes the object away, so that nothing remains of a call that fails; if an order came first, the key will appear.
async fn give_up(call: &Call<'_>, object: &KeyObject, entry: &KeyEntry, error: ApiError) -> ApiError {
    let namespace = &call.caller.tenant.namespace;
    let deleted = call.gateway.control.delete_key(namespace, &object.name, &object.uid, &entry.resource_version).await;
    match deleted {
        Ok(()) | Err(ControlError::Gone) => error,
        Err(failure) => {
            tracing::warn!(error = %failure, key = %object.name, "a key that was not made could not be taken away");
            ApiError::internal()
        }
    }
}

/// The controllers' reason as the exception that CreateKey documents for it (spec 3.5).
fn rejected(rejection: &Rejection) -> ApiError {
    let documented = [
        ErrorCode::CustomKeyStoreInvalidState,
        ErrorCode::CustomKeyStoreNotFound,
        ErrorCode::CloudHsmClusterInvalidConfiguration,
        ErrorCode::UnsupportedOperation,
        ErrorCode::LimitExceeded,
    ];
    let code = documented.into_iter().find(|code| code.name() == rejection.reason);
    code.map_or_else(ApiError::internal, |code| ApiError::new(code, rejection.message.clone()))
}

fn not_written(error: &ControlError) -> ApiError {
    tracing::warn!(%error, "a key was not written");
    match error {
        ControlError::Unreachable => {
            ApiError::new(ErrorCode::DependencyTimeout, "The system timed out while trying to fulfill the request.")
        }
        // The object is named by the signature: another replica has had this very request.
        ControlError::Exists => Replay::Seen.into(),
        ControlError::Gone | ControlError::Pinned { .. } | ControlError::Refused => ApiError::internal(),
    }
}
