//! The operations, one file each, and what they share: the call under way.
//!
//! Every operation follows the same order (KEY-37): validate parameters, find the key, authorise, check the key's
//! state, check usage and algorithm, check the store, act. Authentication came before.

mod connect_custom_key_store;
mod create_key;
mod decrypt;
mod describe_custom_key_stores;
mod describe_key;
mod disconnect_custom_key_store;
mod encrypt;
mod generate_data_key;
mod generate_random;
mod key_access;
mod key_metadata;
mod list_aliases;
mod list_keys;
mod page;
mod store_access;
mod symmetric;

use std::sync::Arc;

use audit::{AdditionalEventData, RequestParameters, Resource, ResponseElements};
use hsm_protocol::Wiped;

use crate::authorize::{self, Question};
use crate::caller::Caller;
use crate::error::{ApiError, ErrorCode};
use crate::gateway::Gateway;
use crate::replay::SignedOnce;
use crate::target::Operation;

/// The body of a successful answer; wiped when it has left.
pub(crate) type Answer = Wiped;

/// What an operation notes for the audit record as it goes along; kept when the operation fails.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) parameters: RequestParameters,
    pub(crate) response: Option<ResponseElements>,
    pub(crate) additional: AdditionalEventData,
    pub(crate) resources: Vec<Resource>,
}

/// One authenticated request to one operation.
pub(crate) struct Call<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) caller: &'a Caller,
    pub(crate) operation: Operation,
    pub(crate) body: &'a [u8],
    pub(crate) signed: &'a SignedOnce,
    pub(crate) notes: &'a mut Notes,
}

impl Call<'_> {
    /// Refuses the request unless the caller may use this operation on the object `name`, or on all when there is none.
    /// `shown` is the resource's ARN for the message.
    pub(crate) async fn authorize(
        &self,
        resource: authorize::Resource,
        name: Option<Arc<str>>,
        shown: &str,
    ) -> Result<(), ApiError> {
        let question = Question {
            namespace: Arc::clone(&self.caller.tenant.namespace),
            user_name: Arc::clone(&self.caller.credential.user.name),
            verb: self.operation.verb(),
            resource,
            name,
        };
        match self.gateway.authorization.allows(question).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.denied(shown)),
            Err(unavailable) => {
                tracing::warn!(error = %unavailable, operation = self.operation.name(), "no authorisation decision");
                Err(ApiError::new(
                    ErrorCode::DependencyTimeout,
                    "The system timed out while trying to fulfill the request.",
                ))
            }
        }
    }

    /// The answer to a caller who may not do this. It depends on the request alone, never on what exists.
    pub(crate) fn denied(&self, shown: &str) -> ApiError {
        let (arn, operation) = (self.caller.arn(), self.operation.name());
        ApiError::new(
            ErrorCode::AccessDenied,
            format!(
                "User: {arn} is not authorized to perform: kms:{operation} on resource: {shown} because no \
                 identity-based policy allows the kms:{operation} action"
            ),
        )
    }

    /// Refuses a change while records cannot be written (INV-69): it could not be undone when its record then fails.
    pub(crate) fn require_audit(&self) -> Result<(), ApiError> {
        if self.gateway.audit.is_writable() { Ok(()) } else { Err(ApiError::internal()) }
    }
}

/// Runs the operation of `call`.
///
/// # Errors
/// What the caller is to be told.
pub(crate) async fn run(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    match call.operation {
        Operation::ConnectCustomKeyStore => connect_custom_key_store::run(call).await,
        Operation::CreateKey => create_key::run(call).await,
        Operation::Decrypt => decrypt::run(call).await,
        Operation::DescribeCustomKeyStores => describe_custom_key_stores::run(call).await,
        Operation::DescribeKey => describe_key::run(call).await,
        Operation::DisconnectCustomKeyStore => disconnect_custom_key_store::run(call).await,
        Operation::Encrypt => encrypt::run(call).await,
        Operation::GenerateDataKey => generate_data_key::run(call, true).await,
        Operation::GenerateDataKeyWithoutPlaintext => generate_data_key::run(call, false).await,
        Operation::GenerateRandom => generate_random::run(call).await,
        Operation::ListAliases => list_aliases::run(call).await,
        Operation::ListKeys => list_keys::run(call).await,
        // Answered by the STS protocol, which has no JSON body.
        Operation::GetCallerIdentity => Err(ApiError::new(ErrorCode::UnknownOperation, "")),
    }
}
