//! What a gateway normally finds in Kubernetes: here everybody may do everything, and nothing can be changed.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use kms_gateway::authorize::{Authorizer, AuthorizerUnavailable, Question};
use kms_gateway::control::{ControlError, ControlPlane, KeyObject, KeyOrder};
use kms_gateway::crypto::{ConnectedStores, StoreCrypto};
use kms_gateway::index::KeyEntry;
use uuid::Uuid;

/// RBAC that says yes. The gateway's memory in front of it is the product's.
pub(super) struct AlwaysAllowed;

impl Authorizer for AlwaysAllowed {
    fn decide(&self, _question: Question) -> BoxFuture<'static, Result<bool, AuthorizerUnavailable>> {
        ready(Ok(true)).boxed()
    }
}

/// The one connected store.
pub(super) struct OneStore(pub(super) Arc<dyn StoreCrypto>);

impl ConnectedStores for OneStore {
    fn store(&self, _namespace: &str, _id: &str, _generation: i64) -> Option<Arc<dyn StoreCrypto>> {
        Some(Arc::clone(&self.0))
    }
}

/// No API server.
pub(super) struct NoCluster;

impl ControlPlane for NoCluster {
    fn create_key<'a>(&'a self, _: &'a str, _: KeyOrder) -> BoxFuture<'a, Result<KeyObject, ControlError>> {
        ready(Err(ControlError::Unreachable)).boxed()
    }

    fn delete_key<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), ControlError>> {
        ready(Err(ControlError::Unreachable)).boxed()
    }

    fn find_key<'a>(&'a self, _: &'a str, _: Uuid) -> BoxFuture<'a, Result<Option<KeyEntry>, ControlError>> {
        ready(Err(ControlError::Unreachable)).boxed()
    }

    fn connect<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), ControlError>> {
        ready(Err(ControlError::Unreachable)).boxed()
    }

    fn disconnect<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), ControlError>> {
        ready(Err(ControlError::Unreachable)).boxed()
    }
}
