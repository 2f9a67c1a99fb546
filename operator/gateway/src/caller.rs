//! An authenticated caller: the access key that signed, its tenant and its account.

use std::sync::Arc;

use audit::UserIdentity;

use crate::arn::Place;
use crate::error::{ApiError, ErrorCode};
use crate::index::{Index, Tenant};
use crate::sigv4::Credential;

/// Who signed the request.
pub(crate) struct Caller {
    pub(crate) credential: Arc<Credential>,
    pub(crate) tenant: Arc<Tenant>,
    arn: String,
}

impl Caller {
    /// The caller behind a verified credential.
    ///
    /// # Errors
    /// As for an unknown access key, when the key's namespace has no account, or another one than
    /// when the key was made.
    pub(crate) fn new(credential: Arc<Credential>, index: &Index, place: &Place) -> Result<Self, ApiError> {
        let user = &credential.user;
        let tenant = index.tenant(&user.namespace).filter(|tenant| tenant.has_account(&user.account_id));
        let Some(tenant) = tenant else {
            return Err(ApiError::new(
                ErrorCode::UnrecognizedClient,
                "The security token included in the request is invalid.",
            ));
        };
        let arn = place.user(user);
        Ok(Self { credential, tenant, arn })
    }

    /// The 12-digit account: the one of the tenant, and of the access key when it was made.
    pub(crate) fn account_id(&self) -> &str {
        &self.credential.user.account_id
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
            account_id: self.account_id(),
            access_key_id: &self.credential.access_key_id,
            user_name: &self.credential.user.name,
        }
    }
}
