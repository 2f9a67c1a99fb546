//! Why a signature was refused: one variant per clause of INV-66.

use thiserror::Error;

use crate::error::ErrorCode;

/// The clause that a request breaks. The text is safe to send to the caller: it repeats nothing secret and nothing that
/// the caller did not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Refusal {
    /// No `Authorization` header.
    #[error("Missing Authentication Token")]
    MissingAuthentication,
    /// A signed or security-relevant header occurs more than once.
    #[error("A header that takes part in authentication must occur exactly once.")]
    DuplicateHeader,
    /// Not `AWS4-HMAC-SHA256`.
    #[error("Unsupported signing algorithm: only AWS4-HMAC-SHA256 in the Authorization header is accepted.")]
    UnsupportedAlgorithm,
    /// The `Authorization` header does not have the documented form.
    #[error("The Authorization header must have the members Credential, SignedHeaders and Signature, once each.")]
    MalformedAuthorization,
    /// The credential scope does not have five parts ending in `aws4_request`.
    #[error("Credential must have the form <access key id>/<yyyymmdd>/<region>/<service>/aws4_request.")]
    MalformedScope,
    /// The signature is not 64 lower-case hexadecimal digits.
    #[error("Signature must be 64 lower-case hexadecimal digits.")]
    MalformedSignature,
    /// The list of signed headers is not sorted, lower-case and free of repetition.
    #[error("SignedHeaders must be lower-case, sorted and free of repetition.")]
    MalformedSignedHeaders,
    /// A header that must be covered by the signature is not.
    #[error("host, x-amz-date, content-type and every x-amz-* header must be signed.")]
    UnsignedHeader,
    /// A header that the list names is not in the request.
    #[error("A header named in SignedHeaders is missing from the request.")]
    MissingSignedHeader,
    /// A signed header holds bytes other than printable ASCII.
    #[error("A signed header holds characters that are not printable ASCII.")]
    HeaderNotAscii,
    /// Signature in the query string, or any other query string.
    #[error("The endpoint takes no query string; sign with the Authorization header.")]
    QueryNotAllowed,
    /// A path other than `/`.
    #[error("The endpoint serves the path / only.")]
    PathNotAllowed,
    /// No `X-Amz-Date` header.
    #[error("Authorization header requires existence of a 'X-Amz-Date' header.")]
    MissingDate,
    /// `X-Amz-Date` is not `yyyymmddThhmmssZ`.
    #[error("X-Amz-Date must have the form yyyymmddThhmmssZ.")]
    MalformedDate,
    /// The scope's date is not the day of `X-Amz-Date`.
    #[error("Date in Credential scope does not match YYYYMMDD from X-Amz-Date.")]
    ScopeDate,
    /// The scope names another region.
    #[error("Credential should be scoped to a valid region.")]
    ScopeRegion,
    /// The scope names a service that this endpoint does not offer.
    #[error("Credential should be scoped to a service of this endpoint.")]
    ScopeService,
    /// Signed more than five minutes ago.
    #[error("Signature expired: X-Amz-Date is more than 5 minutes in the past.")]
    Expired,
    /// Signed more than five minutes ahead.
    #[error("Signature not yet current: X-Amz-Date is more than 5 minutes in the future.")]
    NotYetValid,
    /// `UNSIGNED-PAYLOAD` or a streaming form.
    #[error("The body must be signed: unsigned and streaming payloads are not accepted.")]
    UnsignedPayload,
    /// The declared body hash is not the body's.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    PayloadHash,
    /// A session token where none belongs.
    #[error("The security token included in the request is invalid.")]
    UnexpectedSessionToken,
    /// No such access key.
    #[error("The security token included in the request is invalid.")]
    UnknownAccessKey,
    /// The signature is not the one that the secret access key makes.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details."
    )]
    SignatureMismatch,
}

impl Refusal {
    /// The AWS error that the caller sees (KEY-6).
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::MissingAuthentication => ErrorCode::MissingAuthenticationToken,
            Self::DuplicateHeader
            | Self::UnsupportedAlgorithm
            | Self::MalformedAuthorization
            | Self::MalformedScope
            | Self::MalformedSignature
            | Self::MalformedSignedHeaders
            | Self::UnsignedHeader
            | Self::MissingSignedHeader
            | Self::HeaderNotAscii
            | Self::QueryNotAllowed
            | Self::PathNotAllowed
            | Self::MissingDate
            | Self::MalformedDate => ErrorCode::IncompleteSignature,
            Self::ScopeDate
            | Self::ScopeRegion
            | Self::ScopeService
            | Self::Expired
            | Self::NotYetValid
            | Self::UnsignedPayload
            | Self::PayloadHash
            | Self::SignatureMismatch => ErrorCode::InvalidSignature,
            Self::UnexpectedSessionToken | Self::UnknownAccessKey => ErrorCode::UnrecognizedClient,
        }
    }
}
