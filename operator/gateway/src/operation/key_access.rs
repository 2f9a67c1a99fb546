//! From what the caller wrote as `KeyId` to a key that the caller may use: lookup, tenancy, authorisation, state.

use std::sync::Arc;

use audit::{Resource, ResourceType};
use operator_api::ConnectionState;
use operator_api::kms_key::KeyState;
use operator_domain::identifier::{KeyReference, KeyReferenceError};
use uuid::Uuid;

use super::Call;
use crate::authorize;
use crate::crypto::StoreCrypto;
use crate::error::{ApiError, ErrorCode};
use crate::index::{KeyEntry, PublishedKey, StoreEntry};

/// How long a lookup that misses the index may take to ask the API server.
const LIVE_READ: std::time::Duration = std::time::Duration::from_millis(500);

/// A published key of the caller's own account.
pub(crate) struct Key {
    entry: Arc<KeyEntry>,
    /// The store that holds it, as far as it is known.
    pub(crate) store: Option<Arc<StoreEntry>>,
}

impl Key {
    fn new(call: &Call<'_>, entry: Arc<KeyEntry>) -> Option<Self> {
        let store = call.caller.tenant.store_of(entry.published.as_ref()?);
        Some(Self { entry, store })
    }

    /// What the AWS API shows of it.
    pub(crate) fn published(&self) -> Result<&PublishedKey, ApiError> {
        self.entry.published.as_ref().ok_or_else(ApiError::internal)
    }

    /// The shown state: the state from user actions under the store's connection (spec 2.11).
    pub(crate) fn state(&self) -> Result<KeyState, ApiError> {
        let base = self.published()?.state;
        let connected = self.store.as_ref().is_some_and(|store| store.state == ConnectionState::Connected);
        let fixed = matches!(base, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion);
        Ok(if connected || fixed { base } else { KeyState::Unavailable })
    }
}

/// Finds the key, checks that the caller may use the operation on it, and notes it for the record.
///
/// # Errors
/// For the caller's own account `NotFoundException`, whether the key never existed or is another tenant's (INV-60); for
/// an ARN of another account `AccessDeniedException`, whether it exists or not.
pub(crate) async fn find(call: &mut Call<'_>, text: &str, aliases: Aliases) -> Result<Key, ApiError> {
    let reference = KeyReference::parse(text).map_err(|error| unreadable(call, error, text))?;
    if reference.is_alias() && aliases == Aliases::Refused {
        return Err(ApiError::new(ErrorCode::NotFound, format!("Invalid keyId '{text}'")));
    }
    if reference.account().is_some_and(|account| account.to_string() != call.caller.account_id()) {
        return Err(call.denied(text));
    }
    let key = lookup(call, &reference, text).await?;
    note(call, &key)?;
    authorize(call, &key).await?;
    Ok(key)
}

/// Finds the key that a ciphertext names, in the caller's account. Otherwise as [`find`].
pub(crate) async fn find_by_id(call: &mut Call<'_>, id: Uuid) -> Result<Option<Key>, ApiError> {
    let Some(key) = by_id(call, id).await else {
        return Ok(None);
    };
    note(call, &key)?;
    authorize(call, &key).await?;
    Ok(Some(key))
}

/// A key object of the caller's tenant as a key, if it is published.
pub(super) fn own(call: &Call<'_>, entry: Arc<KeyEntry>) -> Option<Key> {
    Key::new(call, entry)
}

/// Whether an operation takes aliases where it takes a key (KEY-11, KEY-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aliases {
    Accepted,
    Refused,
}

async fn lookup(call: &Call<'_>, reference: &KeyReference, text: &str) -> Result<Key, ApiError> {
    let (place, account) = (&call.gateway.place, call.caller.account_id());
    match reference {
        KeyReference::Id(id) => {
            let key = by_id(call, Uuid::from_bytes(*id.as_bytes())).await;
            key.ok_or_else(|| missing(&place.absent_key(account, text)))
        }
        KeyReference::Arn(named) => {
            let key = by_id(call, Uuid::from_bytes(*named.key_id.as_bytes())).await;
            // The key's own ARN counts, whatever the region is called today (D1).
            key.filter(|key| key.published().is_ok_and(|key| key.arn == text)).ok_or_else(|| missing(text))
        }
        KeyReference::Alias(name) => {
            by_alias(call, name.as_str()).ok_or_else(|| no_alias(&place.alias(account, name.as_str())))
        }
        KeyReference::AliasArn(named) => {
            let name = named.name.as_str();
            by_alias(call, name).filter(|_| place.alias(account, name) == text).ok_or_else(|| no_alias(text))
        }
    }
}

async fn by_id(call: &Call<'_>, id: Uuid) -> Option<Key> {
    if let Some(entry) = call.caller.tenant.key(id) {
        return Key::new(call, entry);
    }
    // A key that another replica has just made may not have reached our watch: one bounded live read.
    let namespace = &call.caller.tenant.namespace;
    let read = tokio::time::timeout(LIVE_READ, call.gateway.control.find_key(namespace, id)).await.ok()?;
    match read {
        Ok(entry) => Key::new(call, Arc::new(entry?)),
        Err(error) => {
            tracing::debug!(%error, "live read of a key failed");
            None
        }
    }
}

fn by_alias(call: &Call<'_>, name: &str) -> Option<Key> {
    let tenant = &call.caller.tenant;
    let target = tenant.key_object(&tenant.aliases.find(name)?.target)?;
    Key::new(call, target)
}

fn missing(arn: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("Key '{arn}' does not exist"))
}

fn no_alias(arn: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("Alias {arn} is not found."))
}

/// What is no reference at all: an exception of its own only where the operation lists one (KEY-15).
fn unreadable(call: &Call<'_>, error: KeyReferenceError, text: &str) -> ApiError {
    match error {
        KeyReferenceError::InvalidArn if call.operation.is_cryptographic() => {
            ApiError::new(ErrorCode::NotFound, format!("Invalid arn {text}"))
        }
        KeyReferenceError::InvalidArn => ApiError::new(ErrorCode::InvalidArn, format!("Invalid arn {text}")),
        KeyReferenceError::Unknown | KeyReferenceError::Length => {
            ApiError::new(ErrorCode::NotFound, format!("Invalid keyId '{text}'"))
        }
    }
}

/// Notes the key for the record.
pub(super) fn note(call: &mut Call<'_>, key: &Key) -> Result<(), ApiError> {
    let published = key.published()?;
    call.notes.resources.push(Resource {
        account_id: call.caller.account_id().to_owned(),
        kind: ResourceType::Key,
        arn: published.arn.clone(),
    });
    if call.operation.is_cryptographic() {
        call.notes.additional.custom_key_store_id = published.custom_key_store_id.as_deref().map(str::to_owned);
    }
    Ok(())
}

async fn authorize(call: &Call<'_>, key: &Key) -> Result<(), ApiError> {
    let name = Some(Arc::clone(&key.entry.name));
    call.authorize(authorize::Resource::KmsKeys, name, &key.published()?.arn).await
}

/// Checks that the key's state allows cryptography (spec 3.6, footnotes 1, 3, 5, 11, 14).
///
/// # Errors
/// `DisabledException` or `KMSInvalidStateException` with the documented text.
pub(crate) fn require_usable(key: &Key) -> Result<(), ApiError> {
    let arn = &key.published()?.arn;
    let (code, text) = match key.state()? {
        KeyState::Enabled | KeyState::Updating => return Ok(()),
        KeyState::Disabled => (ErrorCode::Disabled, "is disabled."),
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => {
            (ErrorCode::KmsInvalidState, "is pending deletion (or pending replica deletion).")
        }
        KeyState::PendingImport => (ErrorCode::KmsInvalidState, "is pending import."),
        KeyState::Unavailable => (ErrorCode::KmsInvalidState, "is unavailable."),
        KeyState::Creating => (ErrorCode::KmsInvalidState, "is creating."),
    };
    Err(ApiError::new(code, format!("{arn} {text}")))
}

/// The connection of the key's store in this replica.
///
/// # Errors
/// `KMSInvalidStateException` when there is none (SCN-10, SCN-17).
pub(crate) fn connection(call: &Call<'_>, key: &Key) -> Result<Arc<dyn StoreCrypto>, ApiError> {
    let store = key.store.as_ref().ok_or_else(cannot_communicate)?;
    super::store_access::connection(call, store).ok_or_else(cannot_communicate)
}

/// The documented answer when the HSMs cannot be reached although the store is connected.
pub(crate) fn cannot_communicate() -> ApiError {
    ApiError::new(ErrorCode::KmsInvalidState, "KMS cannot communicate with your CloudHSM cluster")
}
