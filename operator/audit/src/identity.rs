//! Who made the request, as CloudTrail's `userIdentity`.

use serde::Serialize;

/// The caller of one request (spec §5.2, `userIdentity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum UserIdentity<'a> {
    /// A caller whose signature was verified with a `KmsAccessKey`.
    #[serde(rename = "IAMUser", rename_all = "camelCase")]
    User {
        /// Stable id of the user: the uid of its `KmsAccessKey`.
        principal_id: &'a str,
        /// `arn:aws:iam::<account>:user/<access key name>`.
        arn: &'a str,
        /// The 12-digit account.
        account_id: &'a str,
        /// The access key id, which is public.
        access_key_id: &'a str,
        /// The name of the `KmsAccessKey`.
        user_name: &'a str,
    },
    /// A caller that was not authenticated.
    #[serde(rename_all = "camelCase")]
    Unknown {
        /// The access key id that the request claimed, if it named one. Nothing proves it.
        #[serde(skip_serializing_if = "Option::is_none")]
        access_key_id: Option<&'a str>,
    },
}
