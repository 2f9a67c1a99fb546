//! What the symmetric operations have in common: context, algorithm, grant tokens, dry run, the HSM's refusals.

use operator_domain::encryption_context::EncryptionContext;
use serde::de::IgnoredAny;

use super::Call;
use super::key_access::{Key, cannot_communicate};
use crate::crypto::CryptoError;
use crate::error::{ApiError, ErrorCode};
use crate::validation::Violations;
use crate::wire::ContextPairs;

/// The only algorithm of the keys that a store can hold (KEY-22).
pub(super) const SYMMETRIC_DEFAULT: &str = "SYMMETRIC_DEFAULT";
/// AWS's `EncryptionAlgorithmSpec`.
const ALGORITHMS: [&str; 4] = [SYMMETRIC_DEFAULT, "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"];
/// Most grant tokens in a request, and characters in one (spec 6.3).
const MOST_GRANT_TOKENS: usize = 10;
const LONGEST_GRANT_TOKEN: usize = 8_192;
/// Longest `KeyId` parameter (spec 6.3).
pub(super) const LONGEST_KEY_ID: usize = 2_048;
/// Longest ciphertext blob (KEY-43).
pub(super) const LONGEST_BLOB: usize = 6_144;
/// Longest plaintext (KEY-43).
pub(super) const LONGEST_PLAINTEXT: usize = 4_096;

/// Members that every symmetric operation takes besides its own.
pub(super) struct Options {
    /// The canonical bytes of the encryption context.
    pub(super) context: Vec<u8>,
    pub(super) dry_run: bool,
    grant_tokens: bool,
    algorithm: Option<String>,
    recipient: bool,
}

/// The members of [`Options`] as they arrive.
pub(super) struct RawOptions {
    pub(super) context: Option<ContextPairs>,
    pub(super) grant_tokens: Option<Vec<String>>,
    pub(super) algorithm: Option<String>,
    pub(super) dry_run: Option<bool>,
    pub(super) recipient: Option<IgnoredAny>,
}

impl RawOptions {
    /// Checks the members, adds what is wrong to `violations` and notes what the record shows.
    pub(super) fn validate(self, violations: &mut Violations, call: &mut Call<'_>) -> Options {
        let tokens = self.grant_tokens.unwrap_or_default();
        violations.list("grantTokens", tokens.len(), MOST_GRANT_TOKENS);
        if tokens.iter().any(|token| token.is_empty() || token.len() > LONGEST_GRANT_TOKEN) {
            violations.add("grantTokens", "have tokens of 1 to 8192 characters");
        }
        violations.one_of("encryptionAlgorithm", self.algorithm.as_deref(), &ALGORITHMS);
        let context = EncryptionContext::new(self.context.unwrap_or_default().0).unwrap_or_else(|_| {
            violations.add("encryptionContext", "have a total size less than or equal to 8192");
            EncryptionContext::default()
        });
        let canonical = context.canonical_bytes();
        let parameters = &mut call.notes.parameters;
        parameters.encryption_context = Some(context.into_pairs()).filter(|pairs| !pairs.is_empty());
        parameters.dry_run = self.dry_run.filter(|dry_run| *dry_run);
        Options {
            context: canonical,
            dry_run: self.dry_run.unwrap_or_default(),
            grant_tokens: !tokens.is_empty(),
            algorithm: self.algorithm,
            recipient: self.recipient.is_some(),
        }
    }
}

impl Options {
    /// Refuses what this endpoint does not offer: attested recipients.
    pub(super) fn require_supported(&self) -> Result<(), ApiError> {
        if self.recipient {
            return Err(ApiError::new(ErrorCode::UnsupportedOperation, "Recipient is not supported by this endpoint."));
        }
        Ok(())
    }

    /// Refuses grant tokens: no grant can exist, so no token is valid. Belongs before authorisation.
    pub(super) fn require_no_grant_tokens(&self) -> Result<(), ApiError> {
        if self.grant_tokens {
            return Err(ApiError::new(ErrorCode::InvalidGrantToken, "The specified grant token is not valid."));
        }
        Ok(())
    }

    /// Refuses an algorithm that the key does not have (KEY-23).
    pub(super) fn require_algorithm(&self) -> Result<(), ApiError> {
        match self.algorithm.as_deref() {
            None | Some(SYMMETRIC_DEFAULT) => Ok(()),
            Some(algorithm) => Err(ApiError::new(
                ErrorCode::InvalidKeyUsage,
                format!("Algorithm {algorithm} is incompatible with key spec {SYMMETRIC_DEFAULT}."),
            )),
        }
    }

    /// Ends a dry run: everything was checked, nothing is done (KEY-141).
    pub(super) fn end_dry_run(&self) -> Result<(), ApiError> {
        if self.dry_run {
            return Err(ApiError::new(
                ErrorCode::DryRunOperation,
                "The request would have succeeded, but the DryRun option is set.",
            ));
        }
        Ok(())
    }
}

/// What the caller is told when the HSMs did not do it.
pub(super) fn refused(error: CryptoError, key: Option<&Key>) -> ApiError {
    tracing::info!(%error, "the HSMs did not answer a request with success");
    let arn = key.and_then(|key| key.published().ok()).map_or("The key", |key| key.arn.as_str());
    match error {
        CryptoError::Unavailable => cannot_communicate(),
        CryptoError::NotConnected | CryptoError::KeyMissing => {
            ApiError::new(ErrorCode::KmsInvalidState, format!("{arn} is unavailable."))
        }
        CryptoError::KeyNotUsable => ApiError::new(ErrorCode::Disabled, format!("{arn} is disabled.")),
        CryptoError::CiphertextInvalid => invalid_ciphertext(),
        CryptoError::Busy => ApiError::new(
            ErrorCode::Throttling,
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        ),
        CryptoError::Internal => ApiError::internal(),
    }
}

/// One text for every reason why a ciphertext does not open (INV-60).
pub(super) fn invalid_ciphertext() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidCiphertext,
        "The ciphertext cannot be decrypted: it is damaged, or of another key, or has another encryption context.",
    )
}
