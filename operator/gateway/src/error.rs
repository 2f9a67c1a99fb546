//! The errors that a caller sees: AWS's exception names, their HTTP status, and the text.
//!
//! An [`ApiError`] is made of what the caller may know. What went wrong inside goes to the log, never into it.

use std::borrow::Cow;

use http::StatusCode;

/// Declares the closed list of error codes: variant, AWS's name, and whether it is a fault of the service (KEY-5).
macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $status:ident;)+) => {
        /// An AWS exception (spec 3.4, KEY-6).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)+ }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// AWS's name, which is `__type` on the wire, `errorCode` in audit records and a metric label.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The HTTP status on the JSON protocol.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }
        }
    };
}

error_codes! {
    /// The principal may not do this, or the key is of another account.
    AccessDenied = "AccessDeniedException" BAD_REQUEST;
    /// The cluster cannot take a key or a connection (CKS preconditions).
    CloudHsmClusterInvalidConfiguration = "CloudHsmClusterInvalidConfigurationException" BAD_REQUEST;
    /// The cluster is not ACTIVE.
    CloudHsmClusterNotActive = "CloudHsmClusterNotActiveException" BAD_REQUEST;
    /// The store's state does not allow the operation.
    CustomKeyStoreInvalidState = "CustomKeyStoreInvalidStateException" BAD_REQUEST;
    /// No such store.
    CustomKeyStoreNotFound = "CustomKeyStoreNotFoundException" BAD_REQUEST;
    /// Something the answer depends on did not answer in time; retry.
    DependencyTimeout = "DependencyTimeoutException" INTERNAL_SERVER_ERROR;
    /// The key is disabled.
    Disabled = "DisabledException" BAD_REQUEST;
    /// It was a rehearsal and would have succeeded (KEY-141).
    DryRunOperation = "DryRunOperationException" BAD_REQUEST;
    /// Incomplete or malformed signature.
    IncompleteSignature = "IncompleteSignatureException" BAD_REQUEST;
    /// The ciphertext is of another key than the one named.
    IncorrectKey = "IncorrectKeyException" BAD_REQUEST;
    /// An ARN that is not one.
    InvalidArn = "InvalidArnException" BAD_REQUEST;
    /// Damaged or foreign ciphertext, or another encryption context: not told apart (INV-60).
    InvalidCiphertext = "InvalidCiphertextException" BAD_REQUEST;
    /// A grant token that is not valid.
    InvalidGrantToken = "InvalidGrantTokenException" BAD_REQUEST;
    /// The key's usage or the algorithm does not fit.
    InvalidKeyUsage = "InvalidKeyUsageException" BAD_REQUEST;
    /// A page marker that we did not hand out.
    InvalidMarker = "InvalidMarkerException" BAD_REQUEST;
    /// The signature is not the expected one, or not of this time and place.
    InvalidSignature = "InvalidSignatureException" BAD_REQUEST;
    /// A fault of the service.
    KmsInternal = "KMSInternalException" INTERNAL_SERVER_ERROR;
    /// The key's state, or its store's, does not allow the operation.
    KmsInvalidState = "KMSInvalidStateException" BAD_REQUEST;
    /// A quota is used up.
    LimitExceeded = "LimitExceededException" BAD_REQUEST;
    /// No signature at all.
    MissingAuthenticationToken = "MissingAuthenticationTokenException" BAD_REQUEST;
    /// No such key or alias.
    NotFound = "NotFoundException" BAD_REQUEST;
    /// The request is larger than any valid one.
    RequestEntityTooLarge = "RequestEntityTooLargeException" PAYLOAD_TOO_LARGE;
    /// The body did not arrive in time.
    RequestTimeout = "RequestTimeoutException" REQUEST_TIMEOUT;
    /// The body is not a request.
    Serialization = "SerializationException" BAD_REQUEST;
    /// Tags that are not allowed.
    Tag = "TagException" BAD_REQUEST;
    /// More requests than the HSMs take.
    Throttling = "ThrottlingException" BAD_REQUEST;
    /// No such operation.
    UnknownOperation = "UnknownOperationException" BAD_REQUEST;
    /// No such access key.
    UnrecognizedClient = "UnrecognizedClientException" BAD_REQUEST;
    /// Not possible for this key or store, or not offered yet.
    UnsupportedOperation = "UnsupportedOperationException" BAD_REQUEST;
    /// A parameter breaks its constraint.
    Validation = "ValidationException" BAD_REQUEST;
}

/// What a failed request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The AWS exception.
    pub code: ErrorCode,
    /// Text for the caller; safe to send and to record.
    pub message: Cow<'static, str>,
}

impl ApiError {
    /// An error with a text.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// A fault of the service. The cause belongs into the log.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::KmsInternal, "The service failed to process the request; it can be retried.")
    }

    /// The JSON error body (KEY-4).
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let body = serde_json::json!({"__type": self.code.name(), "message": self.message});
        body.to_string().into_bytes()
    }
}

impl From<crate::sigv4::Refusal> for ApiError {
    fn from(refusal: crate::sigv4::Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_faults_are_server_errors() {
        let faults: Vec<_> = ErrorCode::ALL.iter().filter(|code| code.status().is_server_error()).collect();
        assert_eq!(faults, [&ErrorCode::DependencyTimeout, &ErrorCode::KmsInternal], "KEY-5");
    }

    #[test]
    fn the_body_names_the_type_and_the_message_and_escapes_the_text() {
        let error = ApiError::new(ErrorCode::NotFound, "Invalid keyId '\"\n'");
        let body: serde_json::Value = serde_json::from_slice(&error.to_json()).unwrap();
        assert_eq!(body, serde_json::json!({"__type": "NotFoundException", "message": "Invalid keyId '\"\n'"}));
    }
}
