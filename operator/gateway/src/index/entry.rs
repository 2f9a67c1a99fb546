//! What the index knows about each object: the few facts that answering a request needs, and no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use operator_api::kms_key::{KeyState, Origin};
use operator_api::{ConnectionErrorCode, ConnectionState};
use uuid::Uuid;

/// Why an object was not accepted: the `Accepted=False` condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The condition's reason, normally the name of an AWS exception.
    pub reason: String,
    /// The condition's message.
    pub message: String,
}

/// One `KmsKey`.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyEntry {
    /// Name of the object in its namespace.
    pub name: Arc<str>,
    /// Uid of the object.
    pub uid: String,
    /// Resource version at which this was seen.
    pub resource_version: String,
    /// Whether material was ordered for the object: from then on its creation is always completed.
    pub ordered: bool,
    /// Why the controllers refuse to make the key, if they do.
    pub rejection: Option<Rejection>,
    /// What the AWS API shows; absent while no durable material exists (D8).
    pub published: Option<PublishedKey>,
}

/// The part of a key that the AWS API shows.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedKey {
    /// AWS `KeyId`.
    pub key_id: Uuid,
    /// AWS `Arn`, as recorded when the key was made (D1).
    pub arn: String,
    /// State from user actions, before the store's connection is looked at (spec 2.11).
    pub state: KeyState,
    /// AWS `Description`.
    pub description: String,
    /// AWS `Origin`.
    pub origin: Origin,
    /// AWS `CreationDate`.
    pub creation_date: Option<Timestamp>,
    /// AWS `DeletionDate`.
    pub deletion_date: Option<Timestamp>,
    /// Name of the `CustomKeyStore` object that holds the key.
    pub store_name: Option<Arc<str>>,
    /// AWS `CustomKeyStoreId`.
    pub custom_key_store_id: Option<Arc<str>>,
    /// AWS `CloudHsmClusterId`.
    pub cloud_hsm_cluster_id: Option<String>,
    /// Handle of the backing key, for audit records only (CKS-99).
    pub backing_key_handle: Option<String>,
}

/// One `KmsAlias` that the controllers have accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasEntry {
    /// Name of the object in its namespace.
    pub object: Arc<str>,
    /// AWS `AliasName`.
    pub alias_name: Arc<str>,
    /// Name of the `KmsKey` object that it stands for.
    pub target: Arc<str>,
    /// AWS `CreationDate`.
    pub creation_date: Option<Timestamp>,
    /// AWS `LastUpdatedDate`.
    pub last_updated_date: Option<Timestamp>,
}

/// One `CustomKeyStore` that has its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    /// Name of the object in its namespace.
    pub name: Arc<str>,
    /// AWS `CustomKeyStoreId`.
    pub custom_key_store_id: Arc<str>,
    /// AWS `CustomKeyStoreName`.
    pub friendly_name: String,
    /// AWS `ConnectionState`.
    pub state: ConnectionState,
    /// AWS `ConnectionErrorCode`, exactly when FAILED.
    pub error_code: Option<ConnectionErrorCode>,
    /// Whether the spec asks for a connection, a hold included.
    pub wants_connection: bool,
    /// Number of the connection that the state belongs to (D12).
    pub generation: i64,
    /// Name of the `CloudHsmCluster` object.
    pub cluster_name: Arc<str>,
    /// AWS `CloudHsmClusterId`.
    pub cloud_hsm_cluster_id: Option<String>,
    /// AWS `TrustAnchorCertificate`.
    pub trust_anchor_certificate: Option<String>,
    /// AWS `CreationDate`.
    pub creation_date: Option<Timestamp>,
}

/// One `CloudHsmCluster`, as far as preconditions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEntry {
    /// Whether its state is ACTIVE.
    pub active: bool,
    /// Zones with an ACTIVE HSM.
    pub active_zones: BTreeSet<String>,
}
