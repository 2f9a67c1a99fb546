//! ListAliases: the caller's aliases in order of their name, all or those of one key.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

use super::key_access::{self, Aliases};
use super::symmetric::LONGEST_KEY_ID;
use super::{Answer, Call, page};
use crate::authorize::Resource;
use crate::error::ApiError;
use crate::index::AliasEntry;
use crate::validation::Violations;
use crate::wire::{self, seconds};

/// Page size when none is asked for, and the largest (spec 3.16).
const LIMITS: (usize, i64) = (50, 100);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    key_id: Option<String>,
    limit: Option<i64>,
    marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    aliases: Vec<Alias<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Alias<'a> {
    alias_name: &'a str,
    alias_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_key_id: Option<Uuid>,
    #[serde(serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    creation_date: Option<Timestamp>,
    #[serde(serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    last_updated_date: Option<Timestamp>,
}

/// Runs ListAliases.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    call.notes.parameters.key_id.clone_from(&request.key_id);
    let mut violations = Violations::default();
    violations.text("keyId", request.key_id.as_deref(), 1, LONGEST_KEY_ID);
    let page = page::read(call, violations, request.limit, request.marker, LIMITS)?;
    let key = match &request.key_id {
        Some(key_id) => Some(key_access::find(call, key_id, Aliases::Refused).await?.published()?.key_id),
        None => {
            call.authorize(Resource::KmsKeys, None, "*").await?;
            None
        }
    };
    let mut entries = entries(call, page.after.as_deref(), page.limit + 1, key);
    let next_marker = page::cut(call, &page, &mut entries, |alias| alias.alias_name.to_string());
    let aliases: Vec<_> = entries.iter().map(|entry| shown(call, entry)).collect();
    let capacity = 256 + aliases.len() * 1_024;
    wire::write(&Response { aliases, truncated: next_marker.is_some(), next_marker }, capacity)
}

/// The first `limit` aliases after a name, of one key or of all.
fn entries(call: &Call<'_>, after: Option<&str>, limit: usize, key: Option<Uuid>) -> Vec<Arc<AliasEntry>> {
    let mut found = Vec::new();
    let mut after: Option<Arc<str>> = after.map(Into::into);
    loop {
        let candidates = call.caller.tenant.aliases.page(after.as_ref(), limit);
        let Some(last) = candidates.last() else { return found };
        after = Some(Arc::clone(&last.alias_name));
        let wanted = candidates.into_iter().filter(|alias| key.is_none() || target(call, alias) == key);
        found.extend(wanted.take(limit - found.len()));
        if found.len() == limit {
            return found;
        }
    }
}

fn target(call: &Call<'_>, alias: &AliasEntry) -> Option<Uuid> {
    call.caller.tenant.key_object(&alias.target)?.published.as_ref().map(|key| key.key_id)
}

fn shown<'a>(call: &Call<'_>, entry: &'a AliasEntry) -> Alias<'a> {
    Alias {
        alias_name: &entry.alias_name,
        alias_arn: call.gateway.place.alias(call.caller.account_id(), &entry.alias_name),
        target_key_id: target(call, entry),
        creation_date: entry.creation_date,
        last_updated_date: entry.last_updated_date,
    }
}
