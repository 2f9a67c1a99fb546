//! Whether a session may use or manage a key: the one place for it.

use std::sync::Arc;

use hsm_protocol::message::UserType;
use hsm_protocol::{KeyId, ReturnCode};

use crate::hsm::Hsm;
use crate::sessions::{Login, Session};
use crate::vault::Outcome;
use crate::vault::delegates::Running;
use crate::vault::key::Key;

/// A key that may be used now. While it lives, its delegation counts it as running.
pub(crate) struct UsableKey {
    /// The key.
    pub(crate) key: Arc<Key>,
    _running: Option<Running>,
}

/// Finds a key for crypto: owned by the session's user or by the user it is a delegate of, enabled, not in conflict.
///
/// # Errors
/// `NotLoggedIn`, `RoleDenied` for an officer (INV-68), `DelegationNotLive`, `InvalidObjectHandle` for no key and for
/// somebody else's alike (INV-60), `KeyNotUsable`.
pub(crate) fn usable(hsm: &Hsm, session: &Session, key_id: &[u8]) -> Outcome<UsableKey> {
    let id = KeyId::try_from(key_id).map_err(|_| ReturnCode::InvalidArgument)?;
    let login = session.login();
    let (owner, running) = match &**login {
        Login::User { name, user_type: UserType::Cu, .. } => (name, None),
        Login::Delegate(generation) => (&generation.owner, Some(generation.begin()?)),
        Login::User { .. } => return Err(ReturnCode::RoleDenied),
        Login::Nobody => return Err(ReturnCode::NotLoggedIn),
    };
    let (key, conflict) = hsm.keys.find(&id).ok_or(ReturnCode::InvalidObjectHandle)?;
    if key.owner != *owner {
        return Err(ReturnCode::InvalidObjectHandle);
    }
    if conflict || !key.enabled {
        return Err(ReturnCode::KeyNotUsable);
    }
    Ok(UsableKey { key, _running: running })
}

/// Finds a key for management by its owner (HSM-61).
///
/// # Errors
/// `NotLoggedIn`, `RoleDenied`, `InvalidObjectHandle`, `KeyAccessDenied`.
pub(crate) fn owned(hsm: &Hsm, session: &Session, key_id: &[u8]) -> Outcome<(Arc<Key>, bool)> {
    let id = KeyId::try_from(key_id).map_err(|_| ReturnCode::InvalidArgument)?;
    let user = session.user_of_type(UserType::Cu)?;
    let (key, conflict) = hsm.keys.find(&id).ok_or(ReturnCode::InvalidObjectHandle)?;
    if key.owner == user { Ok((key, conflict)) } else { Err(ReturnCode::KeyAccessDenied) }
}

/// Whose records a session may read: `None` = everybody's (an officer, HSM-63).
///
/// # Errors
/// `NotLoggedIn`, `DelegationNotLive`.
pub(crate) fn readable_owner(session: &Session) -> Outcome<Option<String>> {
    match &**session.login() {
        Login::User { user_type: UserType::Co, .. } => Ok(None),
        Login::User { name, .. } => Ok(Some(name.clone())),
        Login::Delegate(generation) => generation.begin().map(|_| Some(generation.owner.clone())),
        Login::Nobody => Err(ReturnCode::NotLoggedIn),
    }
}
