//! Writes to Kubernetes under the field manager `kms-api`, and the one live read that a request may cause (D17).

mod ownership;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use operator_api::custom_key_store::WantedConnection;
use operator_api::field_manager::KMS_API;
use operator_api::kms_key::Origin;
use operator_api::reference::LocalReference;
use operator_api::{CustomKeyStore, KmsKey, KmsKeySpec};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::convert;
use crate::control::{ControlError, ControlPlane, KeyObject, KeyOrder};
use crate::index::KeyEntry;

/// Longest time for one request to the API server.
const PATIENCE: Duration = Duration::from_secs(5);
/// Live reads at once: callers who ask for keys that do not exist must not load the API server without bound.
const LIVE_READS: usize = 4;

/// The control plane of a real cluster.
pub(super) struct Kubernetes {
    client: Client,
    live_reads: Semaphore,
}

impl Kubernetes {
    pub(super) fn new(client: Client) -> Self {
        Self { client, live_reads: Semaphore::new(LIVE_READS) }
    }

    fn keys(&self, namespace: &str) -> Api<KmsKey> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn stores(&self, namespace: &str) -> Api<CustomKeyStore> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Applies what `kms-api` says about a store: this replaces everything that it said before.
    async fn apply(&self, store: &CustomKeyStore, spec: Option<Value>) -> Result<(), ControlError> {
        let (name, namespace) = (store.name_any(), store.namespace().unwrap_or_default());
        let mut patch = json!({
            "apiVersion": format!("{}/{}", operator_api::GROUP, operator_api::VERSION),
            "kind": "CustomKeyStore",
            // The uid makes sure that it is still the same store.
            "metadata": {"name": name, "uid": store.uid()},
        });
        if let (Some(spec), Some(patch)) = (spec, patch.as_object_mut()) {
            patch.insert("spec".to_owned(), spec);
        }
        let parameters = PatchParams::apply(KMS_API);
        within(self.stores(&namespace).patch(&name, &parameters, &Patch::Apply(&patch))).await.map(drop)
    }
}

impl ControlPlane for Kubernetes {
    fn create_key<'a>(&'a self, namespace: &'a str, order: KeyOrder) -> BoxFuture<'a, Result<KeyObject, ControlError>> {
        async move {
            // The name is made by us and not by the server: if the answer is lost, the object can still be found.
            let name = order.name.clone();
            let key = KmsKey::new(&name, specification(order));
            let parameters = PostParams { field_manager: Some(KMS_API.to_owned()), ..PostParams::default() };
            let api = self.keys(namespace);
            let made = match within(api.create(&parameters, &key)).await {
                Err(ControlError::Unreachable) => {
                    within(api.get(&name)).await.map_err(|_| ControlError::Unreachable)?
                }
                answer => answer?,
            };
            Ok(KeyObject { uid: made.uid().unwrap_or_default(), name })
        }
        .boxed()
    }

    fn delete_key<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        uid: &'a str,
        resource_version: &'a str,
    ) -> BoxFuture<'a, Result<(), ControlError>> {
        async move {
            let preconditions =
                Preconditions { uid: Some(uid.to_owned()), resource_version: Some(resource_version.to_owned()) };
            let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            within(self.keys(namespace).delete(name, &parameters)).await.map(drop)
        }
        .boxed()
    }

    fn find_key<'a>(&'a self, namespace: &'a str, id: Uuid) -> BoxFuture<'a, Result<Option<KeyEntry>, ControlError>> {
        async move {
            let _turn = self.live_reads.try_acquire().map_err(|_| ControlError::Unreachable)?;
            let parameters = ListParams::default().fields(&format!("spec.keyId={}", id.hyphenated())).limit(2);
            let found = within(self.keys(namespace).list(&parameters)).await?;
            let entries = found.items.iter().map(convert::key);
            Ok(entries.into_iter().find(|entry| entry.published.as_ref().is_some_and(|key| key.key_id == id)))
        }
        .boxed()
    }

    fn connect<'a>(&'a self, namespace: &'a str, store_name: &'a str) -> BoxFuture<'a, Result<(), ControlError>> {
        async move {
            let store = within(self.stores(namespace).get(store_name)).await?;
            match (ownership::manifest_owner(&store), store.spec.connection) {
                // A hold of ours goes because it is not said again.
                (None, _) => self.apply(&store, Some(json!({"connection": "CONNECTED"}))).await,
                (Some(_), Some(WantedConnection::Connected)) => self.apply(&store, None).await,
                (Some(manager), _) => Err(ControlError::Pinned { manager }),
            }
        }
        .boxed()
    }

    fn disconnect<'a>(
        &'a self,
        namespace: &'a str,
        store_name: &'a str,
        requested_by: &'a str,
    ) -> BoxFuture<'a, Result<(), ControlError>> {
        async move {
            let store = within(self.stores(namespace).get(store_name)).await?;
            match (ownership::manifest_owner(&store), store.spec.connection) {
                (None, _) => self.apply(&store, Some(json!({"connection": "DISCONNECTED"}))).await,
                (Some(_), Some(WantedConnection::Connected)) => {
                    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                    let hold = json!({"hold": {"requestedBy": requested_by, "requestedAt": now}});
                    self.apply(&store, Some(hold)).await
                }
                // The manifest itself asks for the disconnect already.
                (Some(_), _) => Ok(()),
            }
        }
        .boxed()
    }
}

fn specification(order: KeyOrder) -> KmsKeySpec {
    KmsKeySpec {
        custom_key_store_ref: Some(LocalReference::to(order.store_name)),
        origin: Some(Origin::AwsCloudHsm),
        description: order.description,
        tags: (!order.tags.is_empty()).then_some(order.tags),
        ..KmsKeySpec::default()
    }
}

/// Bounds a request in time and sorts its failures.
async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ControlError> {
    let error = match timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error,
        Err(_) => return Err(ControlError::Unreachable),
    };
    tracing::warn!(%error, "a request to the API server failed");
    Err(match error {
        kube::Error::Api(status) if status.code == 404 => ControlError::Gone,
        kube::Error::Api(status) if status.reason == "AlreadyExists" => ControlError::Exists,
        kube::Error::Api(status) if status.code < 500 && status.code != 429 => ControlError::Refused,
        _ => ControlError::Unreachable,
    })
}
