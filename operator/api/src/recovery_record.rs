//! Recovery records (D5): what is kept of an object so that it can be made again with the same identity when it is gone.
//!
//! A record is an entry of a ConfigMap in the vault namespace, beside the Secrets without which the HSMs could not be used either:
//! it outlives objects, tenant namespaces, definitions and the release. One ConfigMap per name, one entry per identity, so that
//! a name that came to stand for other material still shows what it stood for before. The entry holds the object's manifest, which
//! `kubectl create` takes as it is. No secret is in it: specs have none, and annotations, which may hold anything, are left out.

use crate::{CloudHsmCluster, CustomKeyStore, GROUP, KeystoreAccount, KmsAlias, KmsKey, VERSION};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The kinds that have records, in the order in which they are made again.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::Display,
)]
#[allow(missing_docs)]
pub enum RecordedKind {
    KeystoreAccount,
    CloudHsmCluster,
    CustomKeyStore,
    KmsKey,
    KmsAlias,
}

impl RecordedKind {
    /// `kind` as manifests spell it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Name in URLs and in RBAC rules.
    pub fn plural(self) -> String {
        match self {
            Self::KeystoreAccount => KeystoreAccount::plural(&()).into_owned(),
            Self::CloudHsmCluster => CloudHsmCluster::plural(&()).into_owned(),
            Self::CustomKeyStore => CustomKeyStore::plural(&()).into_owned(),
            Self::KmsKey => KmsKey::plural(&()).into_owned(),
            Self::KmsAlias => KmsAlias::plural(&()).into_owned(),
        }
    }

    /// The set-once fields of `spec` that say which material or connection an object stands for, the identity itself first (D2).
    pub fn identity_fields(self) -> &'static [&'static str] {
        match self {
            Self::KeystoreAccount | Self::KmsAlias => &[],
            Self::CloudHsmCluster => &["clusterId", "initializationIntent", "clusterCertificateFingerprint"],
            Self::CustomKeyStore => &["customKeyStoreId", "trustAnchorFingerprint"],
            Self::KmsKey => &["keyId", "materialIntent", "materialFingerprint"],
        }
    }

    /// Name of the ConfigMap with the records of one name. `name` is ignored for an account: one namespace has one.
    ///
    /// Unambiguous, because neither a kind nor a namespace contains a dot; at most 145 characters, because our kinds' names fit a label.
    pub fn config_map(self, namespace: &str, name: &str) -> String {
        let kind = self.as_str().to_ascii_lowercase();
        match self {
            Self::KeystoreAccount => format!("{kind}.{namespace}"),
            Self::CloudHsmCluster | Self::CustomKeyStore | Self::KmsKey | Self::KmsAlias => {
                format!("{kind}.{namespace}.{name}")
            }
        }
    }
}

/// What is kept of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryRecord {
    /// `metadata.uid` of the object that the record was last written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// When that object was created. One identity may be recorded for several names, when it was adopted under another one: the youngest of their
    /// objects had it last. Absent from records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// When the object was removed on its own, and not along with its namespace or its definition. Only kinds that hold no material of
    /// their own can be: a store without keys, an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Time>,
    /// A key's ARN. Information: the HSMs' record of the key holds the one that counts (D1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// AWS `ClusterId` of the HSMs that hold a key's material.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The object as a manifest: `apiVersion`, `kind`, name, namespace, labels and `spec`.
    pub object: Value,
}

impl RecoveryRecord {
    /// The record of an object as it is now.
    pub fn of<K>(kind: RecordedKind, object: &K) -> Self
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let mut metadata = json!({ "name": object.name_any() });
        if let Some(namespace) = object.namespace() {
            metadata["namespace"] = namespace.into();
        }
        if !object.labels().is_empty() {
            metadata["labels"] = json!(object.labels());
        }
        let spec = serde_json::to_value(object).unwrap_or_default()["spec"].take();
        let api_version = format!("{GROUP}/{VERSION}");
        let object_now =
            json!({ "apiVersion": api_version, "kind": kind.as_str(), "metadata": metadata, "spec": spec });
        Self {
            uid: object.uid(),
            created: object.creation_timestamp(),
            removed: None,
            arn: None,
            cluster_id: None,
            object: object_now,
        }
    }

    /// The kind; `None` for one that this program does not know.
    pub fn kind(&self) -> Option<RecordedKind> {
        self.object["kind"].as_str()?.parse().ok()
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The tenant's namespace: the object's own, or the one that an account stands for.
    pub fn namespace(&self) -> &str {
        let own = self.object["metadata"]["namespace"].as_str();
        own.or(self.object["spec"]["namespace"].as_str()).unwrap_or_default()
    }

    /// What the object stands for: the first of its kind's set-once fields. Accounts are their name; aliases stand for nothing of their own.
    pub fn identity(&self) -> Option<&str> {
        match self.kind()? {
            RecordedKind::KeystoreAccount => Some(self.name()),
            RecordedKind::KmsAlias => None,
            kind @ (RecordedKind::CloudHsmCluster | RecordedKind::CustomKeyStore | RecordedKind::KmsKey) => {
                self.object["spec"][kind.identity_fields()[0]].as_str()
            }
        }
    }

    /// The ConfigMap and its entry that hold this record; `None` if the kind is unknown.
    pub fn place(&self) -> Option<(String, String)> {
        let name = self.kind()?.config_map(self.namespace(), self.name());
        Some((name, format!("{}.json", self.identity().unwrap_or("object"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KmsKeySpec, reference::LocalReference};
    use strum::IntoEnumIterator;

    fn key() -> KmsKey {
        let spec = KmsKeySpec {
            custom_key_store_ref: Some(LocalReference::to("payments")),
            key_id: Some("0a1b2c3d-0000-4000-8000-000000000000".into()),
            ..KmsKeySpec::default()
        };
        let mut key = KmsKey::new("orders.v1", spec);
        key.metadata.namespace = Some("team-a".into());
        key.metadata.uid = Some("u-1".into());
        key.metadata.creation_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        key.metadata.resource_version = Some("7".into());
        key.metadata.labels = Some([("app".to_owned(), "orders".to_owned())].into());
        key.metadata.annotations = Some([("note".to_owned(), "hunter2".to_owned())].into());
        key
    }

    /// D2: a manifest that a restore may create: identity and labels, neither status nor version, and no annotation.
    #[test]
    fn a_record_holds_a_manifest_that_can_be_created_again_and_nothing_that_may_be_secret() {
        let record = RecoveryRecord::of(RecordedKind::KmsKey, &key());
        let text = serde_json::to_string(&record).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("resourceVersion") && !text.contains("status"), "{text}");
        let again: KmsKey = serde_json::from_value(record.object.clone()).unwrap();
        assert_eq!(again.spec, key().spec);
        assert_eq!(again.metadata.labels, key().metadata.labels);
        assert!(record.created.is_some() && record.created == key().metadata.creation_timestamp);
        assert_eq!(serde_json::from_str::<RecoveryRecord>(&text).unwrap(), record);
    }

    /// One name, several identities: each has an entry of its own, so none can take another's place.
    #[test]
    fn a_records_place_is_its_name_and_its_identity() {
        let place = RecoveryRecord::of(RecordedKind::KmsKey, &key()).place().unwrap();
        let want = ("kmskey.team-a.orders.v1", "0a1b2c3d-0000-4000-8000-000000000000.json");
        assert_eq!((place.0.as_str(), place.1.as_str()), want);
        let account = KeystoreAccount::new("111122223333", crate::KeystoreAccountSpec { namespace: "team-a".into() });
        let place = RecoveryRecord::of(RecordedKind::KeystoreAccount, &account).place().unwrap();
        assert_eq!((place.0.as_str(), place.1.as_str()), ("keystoreaccount.team-a", "111122223333.json"));
    }

    #[test]
    fn names_of_config_maps_fit_an_object_name_and_differ_by_kind() {
        let (namespace, name) = ("n".repeat(63), "k".repeat(63));
        let names: std::collections::BTreeSet<_> =
            RecordedKind::iter().map(|kind| kind.config_map(&namespace, &name)).collect();
        assert_eq!(names.len(), RecordedKind::iter().count());
        assert!(names.iter().all(|name| name.len() <= 145 && name.bytes().all(|byte| !byte.is_ascii_uppercase())));
    }

    /// The fields are those that the definitions guard as set-once (D2).
    #[test]
    fn every_identity_field_is_one_that_its_definition_lets_nobody_change() {
        let definitions = crate::custom_resource_definitions();
        for kind in RecordedKind::iter() {
            let (_, definition) =
                definitions.iter().find(|(_, it)| it.spec.names.kind == kind.as_str()).expect("a definition");
            let text = serde_json::to_string(definition).unwrap();
            for field in kind.identity_fields() {
                assert!(text.contains(&format!("{field} is set once")), "{kind} {field}");
            }
        }
    }
}
