//! Decrypt: opens a ciphertext blob, which names its key itself (KEY-40…44, KEY-142).

use hsm_protocol::BlobHeader;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::key_access::{self, Aliases, Key};
use super::symmetric::{LONGEST_BLOB, LONGEST_KEY_ID, RawOptions, SYMMETRIC_DEFAULT, invalid_ciphertext, refused};
use super::{Answer, Call};
use crate::error::{ApiError, ErrorCode};
use crate::validation::{Violations, invalid};
use crate::wire::{self, Base64, Blob, ContextPairs};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    ciphertext_blob: Option<Blob>,
    encryption_context: Option<ContextPairs>,
    grant_tokens: Option<Vec<String>>,
    key_id: Option<String>,
    encryption_algorithm: Option<String>,
    recipient: Option<IgnoredAny>,
    dry_run: Option<bool>,
    dry_run_modifiers: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    key_id: &'a str,
    plaintext: Base64<'a>,
    encryption_algorithm: &'static str,
}

/// Runs Decrypt.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    call.notes.parameters.key_id.clone_from(&request.key_id);
    call.notes.parameters.encryption_algorithm = Some(SYMMETRIC_DEFAULT);
    let ignores_ciphertext = ignores_ciphertext(&request)?;
    let mut violations = Violations::default();
    violations.text("keyId", request.key_id.as_deref(), 1, LONGEST_KEY_ID);
    violations.required("ciphertextBlob", ignores_ciphertext || request.ciphertext_blob.is_some());
    violations.blob("ciphertextBlob", request.ciphertext_blob.as_ref().map(|blob| blob.0.len()), 1, LONGEST_BLOB);
    let options = RawOptions {
        context: request.encryption_context,
        grant_tokens: request.grant_tokens,
        algorithm: request.encryption_algorithm,
        dry_run: request.dry_run,
        recipient: request.recipient,
    };
    let options = options.validate(&mut violations, call);
    violations.finish()?;
    options.require_supported()?;

    options.require_no_grant_tokens()?;
    let blob = request.ciphertext_blob.map(|blob| blob.0).unwrap_or_default();
    let key = find(call, request.key_id.as_deref(), &blob, ignores_ciphertext).await?;
    key_access::require_usable(&key)?;
    options.require_algorithm()?;
    let store = key_access::connection(call, &key)?;
    if ignores_ciphertext {
        options.end_dry_run()?;
    }
    let published = key.published()?;
    if named_key(&blob) != Some(published.key_id) {
        return Err(match request.key_id {
            Some(_) if named_key(&blob).is_some() => incorrect_key(),
            _ => invalid_ciphertext(),
        });
    }
    let opened = store.decrypt(&blob, &options.context).await;
    let plaintext = opened.map_err(|error| refused(error, Some(&key)))?;
    // A rehearsal must fail as the real request would, so the ciphertext is tried first (KEY-141).
    options.end_dry_run()?;
    let response =
        Response { key_id: &published.arn, plaintext: Base64(&plaintext), encryption_algorithm: SYMMETRIC_DEFAULT };
    wire::write(&response, plaintext.len() * 2 + 512)
}

/// The key that the caller names, or else the one that the ciphertext names.
async fn find(call: &mut Call<'_>, named: Option<&str>, blob: &[u8], no_blob: bool) -> Result<Key, ApiError> {
    match named {
        Some(text) => key_access::find(call, text, Aliases::Accepted).await,
        None if no_blob => Err(invalid("KeyId is required when the ciphertext is ignored.")),
        None => {
            let id = named_key(blob).ok_or_else(invalid_ciphertext)?;
            // A key that does not exist, any more or in this account: as for any foreign ciphertext (KEY-44, INV-60).
            key_access::find_by_id(call, id).await?.ok_or_else(invalid_ciphertext)
        }
    }
}

fn named_key(blob: &[u8]) -> Option<Uuid> {
    BlobHeader::parse(blob).ok().map(|(header, _)| Uuid::from_bytes(header.key_id.0))
}

fn incorrect_key() -> ApiError {
    ApiError::new(
        ErrorCode::IncorrectKey,
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )
}

/// Reads `DryRunModifiers` (KEY-142).
fn ignores_ciphertext(request: &Request) -> Result<bool, ApiError> {
    let Some(modifiers) = request.dry_run_modifiers.as_ref().filter(|modifiers| !modifiers.is_empty()) else {
        return Ok(false);
    };
    if modifiers.iter().any(|modifier| modifier != "IGNORE_CIPHERTEXT") {
        let mut violations = Violations::default();
        violations.add("dryRunModifiers", "satisfy enum value set: [IGNORE_CIPHERTEXT]");
        violations.finish()?;
    }
    if request.dry_run != Some(true) {
        return Err(invalid("DryRunModifiers can be used with DryRun only."));
    }
    Ok(true)
}
