//! The ARNs that the gateway makes. Key ARNs are not among them: they are stored with the key and never derived (D1).

use crate::sigv4::Credential;

/// The partition of every ARN.
const PARTITION: &str = "aws";

/// The ARN of the user behind an access key.
#[must_use]
pub(crate) fn user(account: &str, credential: &Credential) -> String {
    format!("arn:{PARTITION}:iam::{account}:user/{}", credential.user_name)
}

/// The ARN of an alias; `name` has its prefix.
#[must_use]
pub(crate) fn alias(region: &str, account: &str, name: &str) -> String {
    format!("arn:{PARTITION}:kms:{region}:{account}:{name}")
}

/// The ARN that a key with this id would have: for messages about keys that do not exist.
#[must_use]
pub(crate) fn absent_key(region: &str, account: &str, key_id: &str) -> String {
    format!("arn:{PARTITION}:kms:{region}:{account}:key/{key_id}")
}
