//! The words that scenario files are written in: a tenant with a cluster, a store and keys, and waits for their states.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use operator_api::{CloudHsmCluster, ConnectionErrorCode, ConnectionState, CustomKeyStore, KmsKey, kms_key::KeyState};
use serde_json::{Value, json};

use crate::wait::{Look, until};

/// How long a state may take on a busy machine of two cores before a test calls it stuck. A ceiling: what is reached sooner waits no longer. On kind it is longer
/// than the five minutes after which the controllers look again at everything; as processes they do so after an hour only, so that a missed event shows (INV-72).
pub const PATIENCE: Duration = Duration::from_secs(420);

/// The namespace of `deploy/quickstart/`, with its objects by name.
#[derive(Clone)]
pub struct Tenant {
    client: Client,
    namespace: String,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Tenant {
    /// The tenant whose objects live in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The clusters of the namespace.
    #[must_use]
    pub fn clusters(&self) -> Api<CloudHsmCluster> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The stores of the namespace.
    #[must_use]
    pub fn stores(&self) -> Api<CustomKeyStore> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The keys of the namespace.
    #[must_use]
    pub fn keys(&self) -> Api<KmsKey> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until the store is in `wanted`.
    ///
    /// # Errors
    /// When it takes longer than [`PATIENCE`].
    pub async fn store_reaches(&self, store: &str, wanted: ConnectionState) -> Result<CustomKeyStore> {
        let stores = self.stores();
        until(&format!("{store} to be {wanted:?}"), PATIENCE, || async {
            let seen = stores.get(store).await?;
            let status = seen.status.clone().unwrap_or_default();
            Ok(if status.connection_state == Some(wanted) {
                Look::Done(seen)
            } else {
                Look::NotYet(summary(&serde_json::to_value(&status)?))
            })
        })
        .await
    }

    /// Waits until the store is FAILED and returns the code.
    ///
    /// # Errors
    /// When it takes longer than [`PATIENCE`].
    pub async fn store_fails(&self, store: &str) -> Result<ConnectionErrorCode> {
        let failed = self.store_reaches(store, ConnectionState::Failed).await?;
        failed.status.and_then(|status| status.connection_error_code).context("FAILED without a code")
    }

    /// Asks for a connection state as a manifest would.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn want_connection(&self, store: &str, connection: &str) -> Result<()> {
        self.patch_store(store, json!({ "spec": { "connection": connection } })).await
    }

    /// Disconnects and waits.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn disconnect(&self, store: &str) -> Result<()> {
        self.want_connection(store, "DISCONNECTED").await?;
        self.store_reaches(store, ConnectionState::Disconnected).await.map(|_| ())
    }

    /// Connects and waits.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn connect(&self, store: &str) -> Result<()> {
        self.want_connection(store, "CONNECTED").await?;
        self.store_reaches(store, ConnectionState::Connected).await.map(|_| ())
    }

    /// Merges `patch` into a store.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn patch_store(&self, store: &str, patch: Value) -> Result<()> {
        self.stores().patch(store, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Names the Secret in which the owner supplies the password of `kmsuser`, as [`password_secret`] makes it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn supply_password(&self, store: &str, secret: &str) -> Result<()> {
        let reference = json!({ "name": secret, "key": "password" });
        self.patch_store(store, json!({ "spec": { "keyStorePasswordSecretRef": reference } })).await
    }

    /// Waits until the key shows `wanted`.
    ///
    /// # Errors
    /// When it takes longer than [`PATIENCE`].
    pub async fn key_reaches(&self, key: &str, wanted: KeyState) -> Result<KmsKey> {
        let keys = self.keys();
        until(&format!("{key} to be {wanted:?}"), PATIENCE, || async {
            let seen = keys.get(key).await?;
            let status = seen.status.clone().unwrap_or_default();
            Ok(if status.key_state == Some(wanted) {
                Look::Done(seen)
            } else {
                Look::NotYet(summary(&serde_json::to_value(&status)?))
            })
        })
        .await
    }

    /// Declares a key in a store.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn declare_key(&self, name: &str, store: &str) -> Result<()> {
        let key: KmsKey = serde_json::from_value(json!({
            "apiVersion": "keystores.dev/v1alpha1", "kind": "KmsKey", "metadata": { "name": name },
            "spec": { "customKeyStoreRef": { "name": store } },
        }))?;
        self.keys().create(&kube::api::PostParams::default(), &key).await?;
        Ok(())
    }

    /// Waits until the cluster is ACTIVE with three active HSMs.
    ///
    /// # Errors
    /// When it takes longer than [`PATIENCE`].
    pub async fn cluster_is_active(&self, cluster: &str) -> Result<CloudHsmCluster> {
        let clusters = self.clusters();
        until(&format!("{cluster} to be ACTIVE with three HSMs"), PATIENCE, || async {
            let seen = clusters.get(cluster).await?;
            let status = serde_json::to_value(&seen.status)?;
            let active =
                status["hsms"].as_array().map_or(0, |hsms| hsms.iter().filter(|hsm| hsm["state"] == "ACTIVE").count());
            Ok(if status["state"] == "ACTIVE" && active == 3 {
                Look::Done(seen)
            } else {
                Look::NotYet(summary(&status))
            })
        })
        .await
    }
}

/// A status in one line without certificates.
fn summary(status: &Value) -> String {
    let text = status.to_string();
    text.chars().take(1500).collect()
}

/// Repeats a call until it succeeds: an answer may lag behind a state that the API server already shows (CKS-14).
///
/// # Errors
/// When it is still refused after [`PATIENCE`].
pub async fn eventually_ok(sdk: &mut crate::sdk::Sdk, operation: &str, parameters: &Value) -> Result<Value> {
    until(&format!("{operation} to succeed"), PATIENCE, || {
        let answer = sdk.kms(operation, parameters);
        async {
            Ok(match answer? {
                crate::sdk::Answer::Ok(value) => Look::Done(value),
                refused => Look::NotYet(format!("{refused:?}")),
            })
        }
    })
    .await
}

/// Manifests of a Secret with a `kmsuser` password and of the tenant's consent that the controllers read it (D10).
#[must_use]
pub fn password_secret(namespace: &str, name: &str, password: &str) -> String {
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: {namespace}}}
stringData: {{password: {password}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: read-{name}, namespace: {namespace}}}
rules: [{{apiGroups: [''], resources: [secrets], resourceNames: [{name}], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: read-{name}, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: read-{name}}}
subjects: [{{kind: ServiceAccount, name: keystore-operator, namespace: keystore-system}}]
"
    )
}
