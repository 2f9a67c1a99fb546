//! The canonical request and the string to sign, rebuilt from what arrived (AWS Signature Version 4).
//!
//! Both are written piece by piece into a buffer that is hashed as a whole: handing some thirty pieces to the digest costs
//! more than hashing them.

use super::headers::printable;
use super::{ALGORITHM, ReceivedRequest, Refusal, Scope};

/// Length of a SHA-256 in hexadecimal.
const HEX_HASH: usize = 64;

/// Path and query of the canonical request, already in canonical form.
#[derive(Debug, Clone, Copy)]
pub(super) struct CanonicalTarget<'a> {
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

/// The only target that [`super::verify`] lets through: the path is `/` and there is no query.
pub(super) const ROOT: CanonicalTarget<'static> = CanonicalTarget { path: "/", query: "" };

/// Writes the canonical request.
///
/// # Errors
/// [`Refusal::MissingSignedHeader`], [`Refusal::DuplicateHeader`] or [`Refusal::HeaderNotAscii`] when a signed header
/// does not have exactly one readable value.
pub(super) fn write_request(
    request: ReceivedRequest<'_>,
    target: CanonicalTarget<'_>,
    signed_headers: &str,
    body_hash: &[u8],
    sink: &mut impl FnMut(&[u8]),
) -> Result<(), Refusal> {
    for part in [request.method.as_str(), "\n", target.path, "\n", target.query, "\n"] {
        sink(part.as_bytes());
    }
    for name in signed_headers.split(';') {
        sink(name.as_bytes());
        sink(b":");
        write_trimmed(signed_value(request, name)?, sink);
        sink(b"\n");
    }
    sink(b"\n");
    sink(signed_headers.as_bytes());
    sink(b"\n");
    write_hex(body_hash, sink);
    Ok(())
}

/// Writes the string to sign.
pub(super) fn write_string_to_sign(date: &str, scope: &Scope<'_>, canonical_hash: &[u8], sink: &mut impl FnMut(&[u8])) {
    for part in [ALGORITHM, "\n", date, "\n", scope.date, "/", scope.region, "/", scope.service, "/aws4_request\n"] {
        sink(part.as_bytes());
    }
    write_hex(canonical_hash, sink);
}

/// The one value of a signed header. The host of an HTTP/2 request is in its target.
fn signed_value<'a>(request: ReceivedRequest<'a>, name: &str) -> Result<&'a str, Refusal> {
    let mut values = request.headers.get_all(name).iter();
    let value = match (values.next(), request.authority) {
        (Some(value), Some(authority)) if name == "host" && value.as_bytes() != authority.as_bytes() => {
            return Err(Refusal::DuplicateHeader);
        }
        (Some(value), _) => printable(value.as_bytes())?,
        (None, Some(authority)) if name == "host" => printable(authority.as_bytes())?,
        (None, _) => return Err(Refusal::MissingSignedHeader),
    };
    if values.next().is_some() { Err(Refusal::DuplicateHeader) } else { Ok(value) }
}

/// Writes a header value with outer spaces removed and inner runs of spaces made one.
fn write_trimmed(value: &str, sink: &mut impl FnMut(&[u8])) {
    let words = value.as_bytes().split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    for (position, word) in words.enumerate() {
        if position > 0 {
            sink(b" ");
        }
        sink(word);
    }
}

fn write_hex(hash: &[u8], sink: &mut impl FnMut(&[u8])) {
    let mut text = [0; HEX_HASH];
    if let Some(text) = text.get_mut(..hash.len() * 2)
        && hex::encode_to_slice(hash, text).is_ok()
    {
        sink(text);
    }
}
