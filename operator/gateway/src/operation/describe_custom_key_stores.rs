//! DescribeCustomKeyStores: the caller's stores, or the one of an id or name (spec 2.4).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::{Answer, Call, page, store_access};
use crate::authorize::Resource;
use crate::error::ApiError;
use crate::index::StoreEntry;
use crate::validation::{Violations, invalid};
use crate::wire::{self, seconds};

/// Page size when none is asked for, and the largest (spec 3.16).
const LIMITS: (usize, i64) = (100, 1_000);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    custom_key_store_id: Option<String>,
    custom_key_store_name: Option<String>,
    limit: Option<i64>,
    marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    custom_key_stores: Vec<Store<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Store<'a> {
    custom_key_store_id: &'a str,
    custom_key_store_name: &'a str,
    custom_key_store_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_hsm_cluster_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_anchor_certificate: Option<&'a str>,
    connection_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_error_code: Option<&'static str>,
    #[serde(serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    creation_date: Option<Timestamp>,
}

/// Runs DescribeCustomKeyStores.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    let parameters = &mut call.notes.parameters;
    parameters.custom_key_store_id.clone_from(&request.custom_key_store_id);
    parameters.custom_key_store_name.clone_from(&request.custom_key_store_name);
    let mut violations = Violations::default();
    violations.text("customKeyStoreId", request.custom_key_store_id.as_deref(), 1, store_access::LONGEST_ID);
    violations.text("customKeyStoreName", request.custom_key_store_name.as_deref(), 1, store_access::LONGEST_NAME);
    let page = page::read(call, violations, request.limit, request.marker, LIMITS)?;
    let (mut stores, name) = match (&request.custom_key_store_id, &request.custom_key_store_name) {
        (Some(_), Some(_)) => return Err(invalid("Specify either CustomKeyStoreId or CustomKeyStoreName, not both.")),
        (Some(id), None) => {
            let store = store_access::find(call, id)?;
            let name = Arc::clone(&store.name);
            (vec![store], Some(name))
        }
        (None, Some(name)) => {
            let store = call.caller.tenant.stores.search(|store| store.friendly_name == *name);
            let store = store.ok_or_else(|| store_access::not_found(name))?;
            let name = Arc::clone(&store.name);
            (vec![store], Some(name))
        }
        (None, None) => {
            let after: Option<Arc<str>> = page.after.as_deref().map(Into::into);
            (call.caller.tenant.stores.page(after.as_ref(), page.limit + 1), None)
        }
    };
    call.authorize(Resource::CustomKeyStores, name, "*").await?;
    let next_marker = page::cut(call, &page, &mut stores, |store| store.custom_key_store_id.to_string());
    let custom_key_stores: Vec<_> = stores.iter().map(|store| shown(store)).collect();
    let capacity = 256 + custom_key_stores.len() * 4_096;
    wire::write(&Response { custom_key_stores, truncated: next_marker.is_some(), next_marker }, capacity)
}

fn shown(store: &StoreEntry) -> Store<'_> {
    Store {
        custom_key_store_id: &store.custom_key_store_id,
        custom_key_store_name: &store.friendly_name,
        custom_key_store_type: "AWS_CLOUDHSM",
        cloud_hsm_cluster_id: store.cloud_hsm_cluster_id.as_deref(),
        trust_anchor_certificate: store.trust_anchor_certificate.as_deref(),
        connection_state: store.state.as_str(),
        connection_error_code: store.error_code.map(operator_api::ConnectionErrorCode::as_str),
        creation_date: store.creation_date,
    }
}
