//! GenerateRandom: random bytes, from the HSMs of a store when one is named (KEY-47, CKS-97).

use aws_lc_rs::rand;
use operator_api::ConnectionState;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key_access::cannot_communicate;
use super::symmetric::refused;
use super::{Answer, Call, store_access};
use crate::authorize::Resource;
use crate::error::{ApiError, ErrorCode};
use crate::validation::Violations;
use crate::wire::{self, Base64};

/// Most bytes of one request (spec 6.3).
const MOST_BYTES: i64 = 1_024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    number_of_bytes: Option<i64>,
    custom_key_store_id: Option<String>,
    recipient: Option<IgnoredAny>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    plaintext: Base64<'a>,
}

/// Runs GenerateRandom.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    call.notes.parameters.number_of_bytes = request.number_of_bytes;
    call.notes.parameters.custom_key_store_id.clone_from(&request.custom_key_store_id);
    let mut violations = Violations::default();
    violations.required("numberOfBytes", request.number_of_bytes.is_some());
    violations.number("numberOfBytes", request.number_of_bytes, 1, MOST_BYTES);
    violations.text("customKeyStoreId", request.custom_key_store_id.as_deref(), 1, store_access::LONGEST_ID);
    violations.finish()?;
    if request.recipient.is_some() {
        return Err(ApiError::new(ErrorCode::UnsupportedOperation, "Recipient is not supported by this endpoint."));
    }
    let length = usize::try_from(request.number_of_bytes.unwrap_or_default()).map_err(|_| ApiError::internal())?;

    let store = request.custom_key_store_id.as_deref().map(|id| store_access::find(call, id)).transpose()?;
    call.authorize(Resource::KmsKeys, None, "*").await?;
    let bytes = match store {
        None => local(length)?,
        Some(store) => {
            store_access::require_state(&store, &[ConnectionState::Connected])?;
            let unreachable = || store_error(cannot_communicate(), &store.custom_key_store_id);
            let connection = store_access::connection(call, &store).ok_or_else(unreachable)?;
            let drawn = connection.generate_random(length).await;
            drawn.map_err(|error| store_error(refused(error, None), &store.custom_key_store_id))?
        }
    };
    wire::write(&Response { plaintext: Base64(&bytes) }, bytes.len() * 2 + 64)
}

/// Without a store the service draws the bytes itself.
fn local(length: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    rand::fill(&mut bytes).map_err(|_| ApiError::internal())?;
    Ok(bytes)
}

/// This operation has no key, so its list has the store's exception instead of the key's (spec 3.4).
fn store_error(error: ApiError, id: &str) -> ApiError {
    match error.code {
        ErrorCode::KmsInvalidState => ApiError::new(
            ErrorCode::CustomKeyStoreInvalidState,
            format!("The custom key store {id} cannot be reached at the moment."),
        ),
        _ => error,
    }
}
