//! ListKeys: the caller's keys in order of their id, a page at a time.

use operator_domain::identifier::KeyId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

use super::{Answer, Call, page};
use crate::authorize::Resource;
use crate::error::{ApiError, ErrorCode};
use crate::index::KeyEntry;
use crate::validation::Violations;
use crate::wire;

/// Page size when none is asked for, and the largest (spec 3.16).
const LIMITS: (usize, i64) = (100, 1_000);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    limit: Option<i64>,
    marker: Option<String>,
    resource_owners: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    keys: Vec<Key<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Key<'a> {
    key_id: Uuid,
    key_arn: &'a str,
}

/// Runs ListKeys.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    let mut violations = Violations::default();
    let owners = ["SELF", "OTHER_ACCOUNTS_VIA_RAM", "ALL"];
    violations.one_of("resourceOwners", request.resource_owners.as_deref(), &owners);
    let page = page::read(call, violations, request.limit, request.marker, LIMITS)?;
    call.authorize(Resource::KmsKeys, None, "*").await?;
    let after = page.after.as_deref().map(|id| id.parse::<KeyId>().map_err(|_| foreign_marker())).transpose()?;
    let after = after.map(|id| Uuid::from_bytes(*id.as_bytes()));
    // No key is ever shared by another account here: of those there are none.
    let own = request.resource_owners.as_deref() != Some("OTHER_ACCOUNTS_VIA_RAM");
    let wanted = if own { page.limit + 1 } else { 0 };
    let mut entries = call.caller.tenant.keys_page(after.as_ref(), wanted);
    let id = |entry: &Arc<KeyEntry>| entry.published.as_ref().map(|key| key.key_id.to_string()).unwrap_or_default();
    let next_marker = page::cut(call, &page, &mut entries, id);
    let published = entries.iter().filter_map(|entry| entry.published.as_ref());
    let keys: Vec<_> = published.map(|key| Key { key_id: key.key_id, key_arn: &key.arn }).collect();
    let capacity = 256 + keys.len() * 192;
    wire::write(&Response { keys, truncated: next_marker.is_some(), next_marker }, capacity)
}

fn foreign_marker() -> ApiError {
    ApiError::new(ErrorCode::InvalidMarker, "The marker is not valid for this request.")
}
