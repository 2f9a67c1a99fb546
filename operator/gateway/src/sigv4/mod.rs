//! Verifies AWS Signature Version 4: decides whether a request was made by the holder of an access key.
//!
//! The signature is computed over a request that is rebuilt here from what arrived, never over what the client says
//! about itself (INV-66). The endpoints serve one path and no query string, so there is no path or query
//! canonicalisation at all, and no disagreement about it to exploit.
//!
//! Guarantees of a successful [`verify`]: exactly one `Authorization` header; the body, the method, the host, the
//! content type and every `x-amz-*` header are covered by the signature and occur once; the signature is at most five
//! minutes away from `now`; region, service and date of the scope are ours.

mod authorization;
mod canonical;
mod credential;
mod headers;
#[cfg(any(test, fuzzing))]
// Test code, which may unwrap; clippy knows it only where it is for tests alone.
#[allow(clippy::unwrap_used)]
mod oracle;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod refusal;
mod timestamp;

use aws_lc_rs::{constant_time, digest};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use std::sync::Arc;

pub use authorization::{Authorization, SIGNATURE_LENGTH, Scope};
pub use credential::{Credential, CredentialSource, SecretAccessKey, User};
pub use refusal::Refusal;
pub use timestamp::WINDOW;

use crate::service::Service;

/// Room for the canonical request of an SDK. A longer one is bounded by what the server takes as headers.
const CANONICAL: usize = 1_024;
/// The only algorithm that is accepted.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A request as it arrived, before anything in it is believed.
#[derive(Clone, Copy)]
pub struct ReceivedRequest<'a> {
    /// The HTTP method.
    pub method: &'a Method,
    /// Path of the request target.
    pub path: &'a str,
    /// Query of the request target, without `?`.
    pub query: Option<&'a str>,
    /// Host from the request target: always present in HTTP/2, in HTTP/1.1 only with the absolute form.
    pub authority: Option<&'a str>,
    /// All header fields.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// A caller whose signature was right, and the service it signed for.
pub struct Verified {
    /// The access key that signed.
    pub credential: Arc<Credential>,
    /// The service named in the signed scope.
    pub service: Service,
    /// When it was signed, by the caller's clock: at most five minutes from `now`.
    pub signed_at: Timestamp,
    /// The signature, which names this one request.
    pub signature: [u8; SIGNATURE_LENGTH],
}

/// Verifies `request` against the access keys in `keys`, for the endpoint's `region`, at time `now`.
///
/// # Errors
/// The clause of INV-66 that the request breaks. Every path through this function that does not end in a constant-time
/// comparison of the whole signature is a refusal.
pub fn verify(
    request: ReceivedRequest<'_>,
    region: &str,
    keys: &impl CredentialSource,
    now: Timestamp,
) -> Result<Verified, Refusal> {
    let header = headers::single(request.headers, AUTHORIZATION, Refusal::MissingAuthentication)?;
    let authorization = Authorization::parse(header)?;
    let service = authorization.scope.service_for(region)?;
    if request.query.is_some() {
        return Err(Refusal::QueryNotAllowed);
    }
    if request.path != "/" {
        return Err(Refusal::PathNotAllowed);
    }
    headers::check_coverage(request.headers, &authorization)?;
    let date = headers::single(request.headers, &headers::DATE, Refusal::MissingDate)?;
    let signed_at = timestamp::check(date, authorization.scope.date, now)?;
    let body_hash = digest::digest(&digest::SHA256, request.body);
    headers::check_declared_hash(request.headers, body_hash.as_ref())?;

    let credential = keys.credential(authorization.scope.access_key_id).ok_or(Refusal::UnknownAccessKey)?;
    let text = string_to_sign(request, canonical::ROOT, &authorization, date, body_hash.as_ref())?;
    let expected = credential.sign(authorization.scope.date, region, service, &text);
    constant_time::verify_slices_are_equal(expected.as_ref(), &authorization.signature)
        .map_err(|_| Refusal::SignatureMismatch)?;
    Ok(Verified { credential, service, signed_at, signature: authorization.signature })
}

/// What the holder of the secret would have signed for this request.
fn string_to_sign(
    request: ReceivedRequest<'_>,
    target: canonical::CanonicalTarget<'_>,
    authorization: &Authorization<'_>,
    date: &str,
    body_hash: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let mut text = Vec::with_capacity(CANONICAL);
    let signed_headers = authorization.signed_headers;
    canonical::write_request(request, target, signed_headers, body_hash, &mut |part| text.extend_from_slice(part))?;
    let canonical_hash = digest::digest(&digest::SHA256, &text);
    text.clear();
    canonical::write_string_to_sign(date, &authorization.scope, canonical_hash.as_ref(), &mut |part| {
        text.extend_from_slice(part);
    });
    Ok(text)
}

#[cfg(test)]
mod tests;
