//! DescribeKey: the metadata of one key, in every state.

use serde::{Deserialize, Serialize};

use super::key_access::{self, Aliases};
use super::key_metadata::KeyMetadata;
use super::symmetric::{LONGEST_KEY_ID, RawOptions};
use super::{Answer, Call};
use crate::error::ApiError;
use crate::validation::Violations;
use crate::wire;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    key_id: Option<String>,
    grant_tokens: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    key_metadata: KeyMetadata<'a>,
}

/// Runs DescribeKey.
pub(super) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let request: Request = wire::read(call.body)?;
    call.notes.parameters.key_id.clone_from(&request.key_id);
    let mut violations = Violations::default();
    violations.required("keyId", request.key_id.is_some());
    violations.text("keyId", request.key_id.as_deref(), 1, LONGEST_KEY_ID);
    let options = RawOptions {
        context: None,
        grant_tokens: request.grant_tokens,
        algorithm: None,
        dry_run: None,
        recipient: None,
    };
    let options = options.validate(&mut violations, call);
    violations.finish()?;
    options.require_no_grant_tokens()?;
    let key = key_access::find(call, &request.key_id.unwrap_or_default(), Aliases::Accepted).await?;
    wire::write(&Response { key_metadata: KeyMetadata::new(call, &key)? }, 1_024)
}
