//! The parts of a record that depend on the operation: what was asked, what was changed, which store was involved.
//!
//! Security: these are the only places where request content enters a record. None of them has a field for plaintext,
//! ciphertext, key material, passwords or grant tokens (spec §5.2).

use std::collections::BTreeMap;

use serde::Serialize;

/// `requestParameters`: the request's members that AWS records, in camelCase. All absent is written as `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestParameters {
    /// The key as the caller named it: id, ARN, alias name or alias ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The encryption context, in plaintext as AWS records it: it is not secret (KEY-40).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_context: Option<BTreeMap<String, String>>,
    /// `SYMMETRIC_DEFAULT`; always present on Encrypt and Decrypt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_algorithm: Option<&'static str>,
    /// `AES_256`, `AES_128` for data keys, `SYMMETRIC_DEFAULT` for CreateKey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_spec: Option<String>,
    /// The deprecated name of `key_spec` that CreateKey still records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_master_key_spec: Option<String>,
    /// `ENCRYPT_DECRYPT` for CreateKey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_usage: Option<String>,
    /// `AWS_CLOUDHSM` and its siblings, for CreateKey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The key's description, for CreateKey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether CreateKey was told to skip the policy lockout check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bypass_policy_lockout_safety_check: Option<bool>,
    /// Length of a data key or of random data, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_bytes: Option<i64>,
    /// The store's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_key_store_id: Option<String>,
    /// The store's friendly name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_key_store_name: Option<String>,
    /// The page size asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The page marker sent back by the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// Whether the request was only a rehearsal (KEY-141).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

impl RequestParameters {
    /// Whether no parameter is present, which AWS records as `null`.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `responseElements`: the result of a mutation, without secrets; `null` for reads and cryptographic operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ResponseElements {
    /// What CreateKey answered.
    KeyMetadata(KeyMetadata),
}

/// The created key, as CreateKey's `responseElements.keyMetadata`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyMetadata {
    /// The 12-digit account.
    #[serde(rename = "aWSAccountId")]
    pub aws_account_id: String,
    /// The key's UUID.
    pub key_id: String,
    /// The key's ARN.
    pub arn: String,
    /// When it was made, as AWS writes dates here: `Aug 10, 2022, 10:38:27 PM`.
    pub creation_date: String,
    /// Whether it can be used.
    pub enabled: bool,
    /// Its state.
    pub key_state: String,
    /// Where its material comes from.
    pub origin: String,
    /// The store that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_key_store_id: Option<String>,
    /// The cluster behind the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_hsm_cluster_id: Option<String>,
}

/// `additionalEventData` for keys in stores and for store operations (spec §5.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdditionalEventData {
    /// On cryptographic operations with a key in a store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_key_store_id: Option<String>,
    /// On Connect and Disconnect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_key_store_name: Option<String>,
    /// On Connect and Disconnect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// On CreateKey in a store: a JSON *string*, `{"keyHandle":"…","backingKeyId":"…"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backing_key: Option<String>,
}

impl AdditionalEventData {
    /// Whether no member is present; the member is then absent from the record.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
