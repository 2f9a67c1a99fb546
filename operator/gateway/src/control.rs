//! What the operations change in Kubernetes, as a trait: there is no other way from the API to a write.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use thiserror::Error;
use uuid::Uuid;

use crate::index::KeyEntry;

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ControlError {
    /// The object is not there any more.
    #[error("failed to find the object")]
    Gone,
    /// There is an object of this name already.
    #[error("failed to make the object: there is one of its name")]
    Exists,
    /// A manifest owns the field and wants the opposite (D17).
    #[error("failed to change a field that is pinned by manifest (field manager {manager})")]
    Pinned {
        /// The field manager that owns the field.
        manager: String,
    },
    /// The API server refuses the change: a rule of the schema, a policy, a precondition.
    #[error("failed to change the object: the API server refuses it")]
    Refused,
    /// The API server cannot be reached or does not answer.
    #[error("failed to reach the API server")]
    Unreachable,
}

/// A key to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyOrder {
    /// Name of the `KmsKey` object to make: the same for every delivery of one signed request.
    pub name: String,
    /// Name of the `CustomKeyStore` object.
    pub store_name: String,
    /// AWS `Description`.
    pub description: Option<String>,
    /// AWS `Tags`.
    pub tags: BTreeMap<String, String>,
}

/// The object that was made for a [`KeyOrder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyObject {
    /// Its generated name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// Writes to the control plane, and the one live read that a request may cause.
pub trait ControlPlane: Send + Sync {
    /// Makes the `KmsKey` object of this order; [`ControlError::Exists`] when there is one of its name.
    fn create_key<'a>(&'a self, namespace: &'a str, order: KeyOrder) -> BoxFuture<'a, Result<KeyObject, ControlError>>;

    /// Deletes a `KmsKey` that has not got beyond `resource_version` of the object with this `uid`.
    fn delete_key<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        uid: &'a str,
        resource_version: &'a str,
    ) -> BoxFuture<'a, Result<(), ControlError>>;

    /// Reads the `KmsKey` with this key id from the API server, for a key that another replica has just made.
    fn find_key<'a>(&'a self, namespace: &'a str, id: Uuid) -> BoxFuture<'a, Result<Option<KeyEntry>, ControlError>>;

    /// Asks for the store's connection and takes away a hold (D17).
    fn connect<'a>(&'a self, namespace: &'a str, store_name: &'a str) -> BoxFuture<'a, Result<(), ControlError>>;

    /// Asks for the end of the store's connection; puts a hold where a manifest wants the connection (D17).
    fn disconnect<'a>(
        &'a self,
        namespace: &'a str,
        store_name: &'a str,
        requested_by: &'a str,
    ) -> BoxFuture<'a, Result<(), ControlError>>;
}
