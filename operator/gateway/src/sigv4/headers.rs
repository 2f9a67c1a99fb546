//! Which headers a signature must cover, and that none of them can be read in two ways.

use http::header::AsHeaderName;
use http::{HeaderMap, HeaderName};

use super::{Authorization, Refusal};

/// When the request was signed. Like the other names it is read at compile time, and not for each request.
pub(super) static DATE: HeaderName = HeaderName::from_static("x-amz-date");
static SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
static CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// The value of a header that must occur exactly once and be printable ASCII; `absent` when it does not occur.
pub(super) fn single(headers: &HeaderMap, name: impl AsHeaderName, absent: Refusal) -> Result<&str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(absent)?;
    if values.next().is_some() {
        return Err(Refusal::DuplicateHeader);
    }
    printable(value.as_bytes())
}

/// The bytes as text, if they are printable ASCII and spaces only.
pub(super) fn printable(value: &[u8]) -> Result<&str, Refusal> {
    // It does not end at the first byte that is not, so that many can be looked at together.
    let is_printable = value.iter().fold(true, |so_far, byte| so_far & matches!(byte, b' '..=b'~'));
    match std::str::from_utf8(value) {
        Ok(text) if is_printable => Ok(text),
        _ => Err(Refusal::HeaderNotAscii),
    }
}

/// Checks that everything with a meaning for us is signed, and occurs once.
///
/// Security: an unsigned `x-amz-target` would let an attacker turn a signed DescribeKey into another operation; an
/// unsigned `x-amz-*` of any name is refused, because a later feature may give it a meaning. A request without a target
/// names no operation, and one that is added later is unsigned.
pub(super) fn check_coverage(headers: &HeaderMap, authorization: &Authorization<'_>) -> Result<(), Refusal> {
    if headers.contains_key(&SECURITY_TOKEN) {
        return Err(Refusal::UnexpectedSessionToken);
    }
    if !["host", "x-amz-date"].iter().all(|name| authorization.covers(name)) {
        return Err(Refusal::UnsignedHeader);
    }
    // Every name has a value: as many values as names means that none occurs twice.
    let repeated = headers.len() > headers.keys_len();
    for name in headers.keys() {
        let name = name.as_str();
        if !is_security_relevant(name) {
            continue;
        }
        if repeated && headers.get_all(name).iter().nth(1).is_some() {
            return Err(Refusal::DuplicateHeader);
        }
        if name != "authorization" && !authorization.covers(name) {
            return Err(Refusal::UnsignedHeader);
        }
    }
    Ok(())
}

fn is_security_relevant(name: &str) -> bool {
    matches!(name, "authorization" | "host" | "content-type") || name.starts_with("x-amz-")
}

/// Checks a declared body hash, if there is one, against the computed hash. The signature uses the computed one anyway.
pub(super) fn check_declared_hash(headers: &HeaderMap, body_hash: &[u8]) -> Result<(), Refusal> {
    let Some(declared) = headers.get(&CONTENT_SHA256) else {
        return Ok(());
    };
    let declared = printable(declared.as_bytes())?;
    if declared == "UNSIGNED-PAYLOAD" || declared.starts_with("STREAMING-") {
        return Err(Refusal::UnsignedPayload);
    }
    if declared == hex::encode(body_hash) { Ok(()) } else { Err(Refusal::PayloadHash) }
}
