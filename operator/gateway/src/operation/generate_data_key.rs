//! GenerateDataKey and GenerateDataKeyWithoutPlaintext: a random key made in the HSM and sealed there (KEY-45).

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::key_access::{self, Aliases};
use super::symmetric::{LONGEST_KEY_ID, RawOptions, refused};
use super::{Answer, Call};
use crate::error::ApiError;
use crate::validation::{Violations, invalid};
use crate::wire::{self, Base64, ContextPairs};

/// Longest data key, bytes (spec 6.3).
const LONGEST_DATA_KEY: i64 = 1_024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    key_id: Option<String>,
    encryption_context: Option<ContextPairs>,
    number_of_bytes: Option<i64>,
    key_spec: Option<String>,
    grant_tokens: Option<Vec<String>>,
    recipient: Option<IgnoredAny>,
    dry_run: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    ciphertext_blob: Base64<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Base64<'a>>,
    key_id: &'a str,
}

/// Runs either operation; the plaintext is asked of the HSM only when it is to be returned.
pub(super) async fn run(call: &mut Call<'_>, with_plaintext: bool) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    let parameters = &mut call.notes.parameters;
    parameters.key_id.clone_from(&request.key_id);
    parameters.key_spec.clone_from(&request.key_spec);
    parameters.number_of_bytes = request.number_of_bytes;
    let mut violations = Violations::default();
    violations.required("keyId", request.key_id.is_some());
    violations.text("keyId", request.key_id.as_deref(), 1, LONGEST_KEY_ID);
    violations.number("numberOfBytes", request.number_of_bytes, 1, LONGEST_DATA_KEY);
    violations.one_of("keySpec", request.key_spec.as_deref(), &["AES_256", "AES_128"]);
    let length = length(request.key_spec.as_deref(), request.number_of_bytes);
    let options = RawOptions {
        context: request.encryption_context,
        grant_tokens: request.grant_tokens,
        algorithm: None,
        dry_run: request.dry_run,
        recipient: request.recipient,
    };
    let options = options.validate(&mut violations, call);
    violations.finish()?;
    let length = length?;
    options.require_supported()?;

    options.require_no_grant_tokens()?;
    let key = key_access::find(call, &request.key_id.unwrap_or_default(), Aliases::Accepted).await?;
    key_access::require_usable(&key)?;
    let store = key_access::connection(call, &key)?;
    options.end_dry_run()?;
    let published = key.published()?;
    let made = store.generate_data_key(published.key_id, length, &options.context, with_plaintext).await;
    let data_key = made.map_err(|error| refused(error, Some(&key)))?;
    let plaintext = data_key.plaintext.as_ref().filter(|_| with_plaintext);
    let response = Response {
        ciphertext_blob: Base64(&data_key.blob),
        plaintext: plaintext.map(|plaintext| Base64(plaintext)),
        key_id: &published.arn,
    };
    wire::write(&response, (data_key.blob.len() + length) * 2 + 512)
}

fn length(key_spec: Option<&str>, number_of_bytes: Option<i64>) -> Result<usize, ApiError> {
    match (key_spec, number_of_bytes) {
        (Some("AES_128"), None) => Ok(16),
        (Some(_), None) => Ok(32),
        (None, Some(bytes)) => usize::try_from(bytes).map_err(|_| ApiError::internal()),
        _ => Err(invalid("Please specify either number of bytes or key spec.")),
    }
}
