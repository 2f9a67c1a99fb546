//! CreateKey's parameters: what is asked for, and what a custom key store cannot hold (spec 3.5, KEY-20…24).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::control::KeyOrder;
use crate::error::{ApiError, ErrorCode};
use crate::operation::symmetric::SYMMETRIC_DEFAULT;
use crate::operation::{Call, store_access};
use crate::validation::{Violations, invalid};
use crate::wire;

/// AWS's `OriginType`.
const ORIGINS: [&str; 4] = ["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"];
/// AWS's `KeyUsageType`.
const USAGES: [&str; 5] =
    ["SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE"];
/// AWS's `KeySpec`.
const KEY_SPECS: [&str; 20] = [
    SYMMETRIC_DEFAULT,
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "ECC_NIST_EDWARDS25519",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ML_KEM_512",
    "ML_KEM_768",
    "ML_KEM_1024",
    "SM2",
];
/// Longest description (KEY-31).
const LONGEST_DESCRIPTION: usize = 8_192;
/// Tags per key, and characters in a tag's key and value (QUO-8).
const MOST_TAGS: usize = 50;
const LONGEST_TAG_KEY: usize = 128;
const LONGEST_TAG_VALUE: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    tag_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    policy: Option<String>,
    description: Option<String>,
    key_usage: Option<String>,
    customer_master_key_spec: Option<String>,
    key_spec: Option<String>,
    origin: Option<String>,
    custom_key_store_id: Option<String>,
    bypass_policy_lockout_safety_check: Option<bool>,
    tags: Option<Vec<Tag>>,
    multi_region: Option<bool>,
    xks_key_id: Option<String>,
}

/// A key that a custom key store can hold.
pub(super) struct WantedKey {
    pub(super) custom_key_store_id: String,
    description: Option<String>,
    tags: BTreeMap<String, String>,
}

impl WantedKey {
    /// The order for the store object `store_name`, to be made as the object `name`.
    pub(super) fn order(self, name: String, store_name: &str) -> KeyOrder {
        KeyOrder { name, store_name: store_name.to_owned(), description: self.description, tags: self.tags }
    }
}

/// Reads and checks the parameters.
pub(super) fn read(call: &mut Call<'_>) -> Result<WantedKey, ApiError> {
    let request: Request = wire::read(call.body)?;
    note(call, &request);
    validate(&request)?;
    let custom_key_store_id = require_storable(&request)?;
    Ok(WantedKey { custom_key_store_id, description: request.description, tags: tags(request.tags)? })
}

fn note(call: &mut Call<'_>, request: &Request) {
    let key_spec = request.key_spec.as_deref().or(request.customer_master_key_spec.as_deref());
    let key_spec = key_spec.unwrap_or(SYMMETRIC_DEFAULT).to_owned();
    let parameters = &mut call.notes.parameters;
    parameters.key_usage = Some(request.key_usage.clone().unwrap_or_else(|| "ENCRYPT_DECRYPT".to_owned()));
    parameters.origin = Some(request.origin.clone().unwrap_or_else(|| "AWS_KMS".to_owned()));
    parameters.customer_master_key_spec = Some(key_spec.clone());
    parameters.key_spec = Some(key_spec);
    parameters.custom_key_store_id.clone_from(&request.custom_key_store_id);
    parameters.bypass_policy_lockout_safety_check =
        Some(request.bypass_policy_lockout_safety_check.unwrap_or_default());
    parameters.description = Some(request.description.clone().unwrap_or_default());
}

fn validate(request: &Request) -> Result<(), ApiError> {
    let mut violations = Violations::default();
    violations.text("description", request.description.as_deref(), 0, LONGEST_DESCRIPTION);
    violations.one_of("keyUsage", request.key_usage.as_deref(), &USAGES);
    violations.one_of("customerMasterKeySpec", request.customer_master_key_spec.as_deref(), &KEY_SPECS);
    violations.one_of("keySpec", request.key_spec.as_deref(), &KEY_SPECS);
    violations.one_of("origin", request.origin.as_deref(), &ORIGINS);
    violations.text("customKeyStoreId", request.custom_key_store_id.as_deref(), 1, store_access::LONGEST_ID);
    violations.finish()?;
    if request.key_spec.is_some() && request.customer_master_key_spec.is_some() {
        return Err(invalid("You cannot specify KeySpec and CustomerMasterKeySpec in the same request."));
    }
    if request.origin.as_deref() == Some("AWS_CLOUDHSM") && request.custom_key_store_id.is_none() {
        return Err(invalid("CustomKeyStoreId is required when Origin is AWS_CLOUDHSM."));
    }
    Ok(())
}

/// What a CloudHSM key store can hold: symmetric, single-Region, made there (KEY-22). The store's id is returned.
fn require_storable(request: &Request) -> Result<String, ApiError> {
    let unsupported = |text| Err(ApiError::new(ErrorCode::UnsupportedOperation, text));
    let origin = request.origin.as_deref().unwrap_or("AWS_KMS");
    if origin != "AWS_CLOUDHSM" {
        return unsupported("This endpoint creates keys of origin AWS_CLOUDHSM in a custom key store only, so far.");
    }
    if request.xks_key_id.is_some() {
        return unsupported("XksKeyId is valid only for keys in an external key store.");
    }
    if request.multi_region == Some(true) {
        return unsupported("A key in a custom key store cannot be a multi-Region key.");
    }
    let key_spec = request.key_spec.as_deref().or(request.customer_master_key_spec.as_deref());
    let usage = request.key_usage.as_deref();
    if key_spec.is_some_and(|spec| spec != SYMMETRIC_DEFAULT) || usage.is_some_and(|usage| usage != "ENCRYPT_DECRYPT") {
        return unsupported("A custom key store holds symmetric encryption keys only.");
    }
    if request.policy.is_some() {
        return unsupported("Key policies are not offered yet: access is decided by the RBAC of the namespace.");
    }
    request.custom_key_store_id.clone().ok_or_else(ApiError::internal)
}

fn tags(tags: Option<Vec<Tag>>) -> Result<BTreeMap<String, String>, ApiError> {
    let refuse = |text: &'static str| Err(ApiError::new(ErrorCode::Tag, text));
    let tags = tags.unwrap_or_default();
    if tags.len() > MOST_TAGS {
        return Err(ApiError::new(ErrorCode::LimitExceeded, "A key can have at most 50 tags."));
    }
    let mut map = BTreeMap::new();
    for Tag { tag_key, tag_value } in tags {
        if tag_key.is_empty() || tag_key.chars().count() > LONGEST_TAG_KEY || tag_key.starts_with("aws:") {
            return refuse("Tag keys have 1 to 128 characters and do not begin with aws:.");
        }
        if tag_value.chars().count() > LONGEST_TAG_VALUE {
            return refuse("Tag values have at most 256 characters.");
        }
        if map.insert(tag_key, tag_value).is_some() {
            return refuse("Tag keys must be unique.");
        }
    }
    Ok(map)
}
