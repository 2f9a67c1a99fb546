//! The ARNs that the gateway makes. Key ARNs are not among them: they are stored with the key and never derived (D1).

use crate::sigv4::User;

/// Where the endpoint is, as far as ARNs say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// First part of every ARN after `arn`, normally `aws`.
    pub partition: String,
    /// AWS Region: in ARNs, and in the scope of every signature.
    pub region: String,
}

impl Place {
    /// The ARN of the user behind an access key.
    pub(crate) fn user(&self, user: &User) -> String {
        ["arn:", self.partition.as_str(), ":iam::", &*user.account_id, ":user/", &*user.name].concat()
    }

    /// The ARN of an alias; `name` has its prefix.
    pub(crate) fn alias(&self, account: &str, name: &str) -> String {
        format!("arn:{}:kms:{}:{account}:{name}", self.partition, self.region)
    }

    /// The ARN that a key with this id would have: for messages about keys that do not exist.
    pub(crate) fn absent_key(&self, account: &str, key_id: &str) -> String {
        format!("arn:{}:kms:{}:{account}:key/{key_id}", self.partition, self.region)
    }
}
