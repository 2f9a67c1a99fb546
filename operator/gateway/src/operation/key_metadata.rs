//! `KeyMetadata`: what DescribeKey and CreateKey show of a key (spec 3.3).

use jiff::Timestamp;
use operator_api::kms_key::KeyState;
use serde::Serialize;
use uuid::Uuid;

use super::Call;
use super::key_access::Key;
use super::symmetric::SYMMETRIC_DEFAULT;
use crate::error::ApiError;
use crate::wire::seconds;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyMetadata<'a> {
    #[serde(rename = "AWSAccountId")]
    aws_account_id: &'a str,
    key_id: Uuid,
    arn: &'a str,
    #[serde(serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    creation_date: Option<Timestamp>,
    enabled: bool,
    description: &'a str,
    key_usage: &'static str,
    key_state: &'static str,
    #[serde(serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Timestamp>,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_key_store_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_hsm_cluster_id: Option<&'a str>,
    key_manager: &'static str,
    customer_master_key_spec: &'static str,
    key_spec: &'static str,
    encryption_algorithms: [&'static str; 1],
    multi_region: bool,
}

impl<'a> KeyMetadata<'a> {
    /// The metadata of a key of the caller's account.
    pub(super) fn new(call: &'a Call<'_>, key: &'a Key) -> Result<Self, ApiError> {
        let (published, state) = (key.published()?, key.state()?);
        Ok(Self {
            aws_account_id: call.caller.account_id(),
            key_id: published.key_id,
            arn: &published.arn,
            creation_date: published.creation_date,
            enabled: state == KeyState::Enabled,
            description: &published.description,
            key_usage: "ENCRYPT_DECRYPT",
            key_state: state.as_str(),
            deletion_date: published.deletion_date.filter(|_| state == KeyState::PendingDeletion),
            origin: published.origin.into(),
            custom_key_store_id: published.custom_key_store_id.as_deref(),
            cloud_hsm_cluster_id: published.cloud_hsm_cluster_id.as_deref(),
            key_manager: "CUSTOMER",
            customer_master_key_spec: SYMMETRIC_DEFAULT,
            key_spec: SYMMETRIC_DEFAULT,
            encryption_algorithms: [SYMMETRIC_DEFAULT],
            multi_region: false,
        })
    }

    /// The same as CreateKey's record shows it (spec 5.4).
    pub(super) fn for_record(&self) -> audit::KeyMetadata {
        let date = self.creation_date.map(|date| date.strftime("%b %-d, %Y, %-I:%M:%S %p").to_string());
        audit::KeyMetadata {
            aws_account_id: self.aws_account_id.to_owned(),
            key_id: self.key_id.to_string(),
            arn: self.arn.to_owned(),
            creation_date: date.unwrap_or_default(),
            enabled: self.enabled,
            key_state: self.key_state.to_owned(),
            origin: self.origin.to_owned(),
            custom_key_store_id: self.custom_key_store_id.map(str::to_owned),
            cloud_hsm_cluster_id: self.cloud_hsm_cluster_id.map(str::to_owned),
        }
    }
}
