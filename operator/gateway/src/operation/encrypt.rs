//! Encrypt: seals up to 4,096 bytes under a key (KEY-40, KEY-43).

use serde::{Deserialize, Serialize};

use super::key_access::{self, Aliases};
use super::symmetric::{LONGEST_KEY_ID, LONGEST_PLAINTEXT, RawOptions, SYMMETRIC_DEFAULT, refused};
use super::{Answer, Call};
use crate::error::ApiError;
use crate::validation::Violations;
use crate::wire::{self, Base64, Blob, ContextPairs};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    key_id: Option<String>,
    plaintext: Option<Blob>,
    encryption_context: Option<ContextPairs>,
    grant_tokens: Option<Vec<String>>,
    encryption_algorithm: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    ciphertext_blob: Base64<'a>,
    key_id: &'a str,
    encryption_algorithm: &'static str,
}

/// Runs Encrypt.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    call.notes.parameters.key_id.clone_from(&request.key_id);
    call.notes.parameters.encryption_algorithm = Some(SYMMETRIC_DEFAULT);
    let mut violations = Violations::default();
    violations.required("keyId", request.key_id.is_some());
    violations.text("keyId", request.key_id.as_deref(), 1, LONGEST_KEY_ID);
    violations.required("plaintext", request.plaintext.is_some());
    violations.blob("plaintext", request.plaintext.as_ref().map(|blob| blob.0.len()), 1, LONGEST_PLAINTEXT);
    let options = RawOptions {
        context: request.encryption_context,
        grant_tokens: request.grant_tokens,
        algorithm: request.encryption_algorithm,
        dry_run: request.dry_run,
        recipient: None,
    };
    let options = options.validate(&mut violations, call);
    violations.finish()?;
    let (Some(key_id), Some(plaintext)) = (request.key_id, request.plaintext) else {
        return Err(ApiError::internal());
    };

    options.require_no_grant_tokens()?;
    let key = key_access::find(call, &key_id, Aliases::Accepted).await?;
    key_access::require_usable(&key)?;
    options.require_algorithm()?;
    let store = key_access::connection(call, &key)?;
    options.end_dry_run()?;
    let published = key.published()?;
    let sealed = store.encrypt(published.key_id, &plaintext.0, &options.context).await;
    let blob = sealed.map_err(|error| refused(error, Some(&key)))?;
    let response =
        Response { ciphertext_blob: Base64(&blob), key_id: &published.arn, encryption_algorithm: SYMMETRIC_DEFAULT };
    wire::write(&response, blob.len() * 2 + 512)
}
