//! From custom resources to index entries: which facts count, and from when on.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use operator_api::cloud_hsm_cluster::{ClusterState, HsmState};
use operator_api::custom_key_store::WantedConnection;
use operator_api::kms_key::KeyState;
use operator_api::reason::is_refused_copy;
use operator_api::{CloudHsmCluster, ConnectionState, CustomKeyStore, KmsAlias, KmsKey};

use crate::index::{AliasEntry, ClusterEntry, KeyEntry, PublishedKey, Rejection, StoreEntry};
use operator_domain::identifier::KeyId;
use uuid::Uuid;

/// The entry of a key object. It is published when the controllers have given it a state and an ARN.
pub(super) fn key(object: &KmsKey) -> KeyEntry {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    KeyEntry {
        name: object.name_any().into(),
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        ordered: object.spec.key_id.is_some() || object.spec.material_intent.is_some(),
        rejection: rejection(conditions),
        published: published(object),
    }
}

fn published(object: &KmsKey) -> Option<PublishedKey> {
    let (spec, status) = (&object.spec, object.status.as_ref()?);
    let key_id: KeyId = spec.key_id.as_deref()?.parse().ok()?;
    Some(PublishedKey {
        key_id: Uuid::from_bytes(*key_id.as_bytes()),
        arn: status.arn.clone()?,
        state: declared(object, status.key_state?),
        description: spec.description.clone().unwrap_or_default(),
        origin: spec.effective_origin(),
        creation_date: status.creation_date.as_ref().map(instant),
        deletion_date: status.deletion_date.as_ref().map(instant),
        store_name: spec.custom_key_store_ref.as_ref().map(|store| store.name.as_str().into()),
        custom_key_store_id: status.custom_key_store_id.as_deref().map(Into::into),
        cloud_hsm_cluster_id: status.cloud_hsm_cluster_id.clone(),
        backing_key_handle: status.backing_key_handle.clone(),
    })
}

/// A key that its owner has disabled is disabled here at once, before the controllers have said so in the status.
fn declared(object: &KmsKey, state: KeyState) -> KeyState {
    let disabled = object.spec.hold.is_some() || object.spec.enabled == Some(false);
    if disabled && state == KeyState::Enabled { KeyState::Disabled } else { state }
}

/// The entry of an alias, once the controllers have accepted it: they decide which of two objects has a name.
pub(super) fn alias(object: &KmsAlias) -> Option<AliasEntry> {
    let status = object.status.as_ref()?;
    let accepted =
        status.conditions.iter().any(|condition| condition.type_ == "Accepted" && condition.status == "True");
    accepted.then(|| AliasEntry {
        object: object.name_any().into(),
        alias_name: object.spec.alias_name.as_str().into(),
        target: object.spec.target_key_ref.name.as_str().into(),
        creation_date: status.creation_date.as_ref().map(instant),
        last_updated_date: status.last_updated_date.as_ref().map(instant),
    })
}

/// The entry of a store, once the controllers have accepted it under its id: they record cluster and trust anchor. A manifest that was copied
/// along with the id of another store says that id too (D2); the controllers refuse it, and it must not stand in its original's place.
pub(super) fn store(object: &CustomKeyStore) -> Option<StoreEntry> {
    let (spec, status) = (&object.spec, object.status.clone().unwrap_or_default());
    let custom_key_store_id: Arc<str> = spec.custom_key_store_id.as_deref()?.into();
    let accepted = status.cloud_hsm_cluster_id.is_some() && status.trust_anchor_certificate.is_some();
    if !accepted || is_refused_copy(&status.conditions) {
        return None;
    }
    Some(StoreEntry {
        name: object.name_any().into(),
        custom_key_store_id,
        friendly_name: object.friendly_name().to_owned(),
        state: status.connection_state.unwrap_or(ConnectionState::Disconnected),
        error_code: status.connection_error_code,
        wants_connection: spec.hold.is_none() && spec.connection == Some(WantedConnection::Connected),
        generation: status.connection_generation.unwrap_or_default(),
        cluster_name: spec.cloud_hsm_cluster_ref.name.as_str().into(),
        cloud_hsm_cluster_id: status.cloud_hsm_cluster_id,
        trust_anchor_certificate: status.trust_anchor_certificate,
        // The status says the same, but a copy may have brought its original's along.
        creation_date: object.metadata.creation_timestamp.as_ref().map(instant),
    })
}

/// The entry of a cluster.
pub(super) fn cluster(object: &CloudHsmCluster) -> ClusterEntry {
    let status = object.status.clone().unwrap_or_default();
    let active = status.hsms.iter().filter(|hsm| hsm.state == HsmState::Active);
    ClusterEntry {
        active: status.state == Some(ClusterState::Active),
        active_zones: active.map(|hsm| hsm.availability_zone.clone()).collect(),
    }
}

fn rejection(conditions: &[Condition]) -> Option<Rejection> {
    let condition = conditions.iter().find(|condition| condition.type_ == "Accepted")?;
    (condition.status == "False")
        .then(|| Rejection { reason: condition.reason.clone(), message: condition.message.clone() })
}

fn instant(time: &Time) -> jiff::Timestamp {
    time.0
}

#[cfg(test)]
mod tests;
