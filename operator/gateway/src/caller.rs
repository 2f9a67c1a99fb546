//! An authenticated caller: the access key that signed, its tenant and its account.

use std::sync::Arc;

use audit::UserIdentity;

use crate::arn::Place;
use crate::error::{ApiError, ErrorCode};
use crate::index::{Account, Index, Tenant};
use crate::sigv4::Credential;

/// Who signed the request.
pub(crate) struct Caller {
    pub(crate) credential: Arc<Credential>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) account: Arc<Account>,
    arn: String,
}

impl Caller {
    /// The caller behind a verified credential.
    ///
    /// # Errors
    /// As for an unknown access key, when the key's namespace has no account, or another one than
    /// when the key was made.
    pub(crate) fn new(credential: Arc<Credential>, index: &Index, place: &Place) -> Result<Self, ApiError> {
        let tenant = index.tenant(&credential.user.namespace);
        let account = tenant.as_ref().and_then(|tenant| tenant.account());
        let account = account.filter(|account| account.id == *credential.user.account_id);
        let (Some(tenant), Some(account)) = (tenant, account) else {
            return Err(ApiError::new(
                ErrorCode::UnrecognizedClient,
                "The security token included in the request is invalid.",
            ));
        };
        let arn = place.user(&account.id, &credential);
        Ok(Self { credential, tenant, account, arn })
    }

    /// `arn:aws:iam::<account>:user/<access key name>`.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    /// The caller in audit records.
    pub(crate) fn identity(&self) -> UserIdentity<'_> {
        UserIdentity::User {
            principal_id: &self.credential.user.uid,
            arn: &self.arn,
            account_id: &self.account.id,
            access_key_id: &self.credential.access_key_id,
            user_name: &self.credential.user.name,
        }
    }
}
