//! FindKeys: by namespace and name (D2), or page by page.

use hsm_protocol::limits::MAX_PAGE;
use hsm_protocol::message::{FindKeysReply, FindKeysRequest};
use hsm_protocol::{KeyId, ReturnCode};

use super::key_use::readable_owner;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::Outcome;

/// Records that the session may read.
///
/// # Errors
/// `InvalidArgument` for a limit outside 1 to 1000 or a name without a namespace; `NotLoggedIn`.
pub(crate) fn run(hsm: &Hsm, session: &Session, request: &FindKeysRequest) -> Outcome<FindKeysReply> {
    let owner = readable_owner(session)?;
    let named = !request.name.is_empty();
    if !(1..=MAX_PAGE).contains(&request.limit) || (named && request.namespace.is_empty()) {
        return Err(ReturnCode::InvalidArgument);
    }
    let readable = |key_owner: &str| owner.as_deref().is_none_or(|owner| owner == key_owner);
    if named {
        let keys = hsm.keys.of_object(&request.namespace, &request.name);
        let keys = keys.iter().filter(|(key, _)| readable(&key.owner));
        return Ok(FindKeysReply {
            keys: keys.map(|(key, conflict)| key.record(*conflict)).collect(),
            truncated: false,
        });
    }
    let after = match &request.after[..] {
        [] => None,
        id => Some(KeyId::try_from(id).map_err(|_| ReturnCode::InvalidArgument)?),
    };
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let (keys, truncated) = hsm.keys.records(after, limit, |key| {
        readable(&key.owner) && (request.namespace.is_empty() || request.namespace == key.namespace)
    });
    Ok(FindKeysReply { keys, truncated })
}
