//! Feeds stores and clusters into the index and into the connections.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt;
use operator_api::{CloudHsmCluster, CustomKeyStore};

use super::connections::Connections;
use super::convert;
use super::feed::{Feed, ObjectName};
use crate::index::{Index, Tenant};

/// The feed of `CustomKeyStore`. The index learns of a change first: a request that still finds the connection of a
/// store that is going has found it before.
pub(super) struct Stores {
    pub(super) index: Arc<Index>,
    pub(super) connections: Arc<Connections>,
}

impl Feed for Stores {
    type Object = CustomKeyStore;
    const NAME: &'static str = "customkeystores";

    fn put(&mut self, object: CustomKeyStore) {
        let namespace = object.namespace().unwrap_or_default();
        let tenant = self.index.tenant_or_new(&namespace);
        let name = object.name_any();
        match convert::store(&object) {
            Some(entry) => {
                tenant.stores.insert(Arc::clone(&entry.custom_key_store_id), Arc::new(entry.clone()));
                self.connections.put_store((namespace, name), entry);
            }
            None => self.remove(&(namespace, name)),
        }
    }

    fn remove(&mut self, object: &ObjectName) {
        if let Some(tenant) = self.index.tenant(&object.0) {
            forget(&tenant, &object.1);
        }
        self.connections.remove_store(object);
    }

    fn retain(&mut self, present: &HashSet<ObjectName>) {
        self.index.each_tenant(|tenant| {
            tenant.stores.retain(|_, store| present.contains(&(tenant.namespace.to_string(), store.name.to_string())));
        });
        self.connections.retain_stores(present);
    }
}

fn forget(tenant: &Tenant, object: &str) {
    tenant.stores.retain(|_, store| &*store.name != object);
}

/// The feed of `CloudHsmCluster`.
pub(super) struct Clusters {
    pub(super) index: Arc<Index>,
    pub(super) connections: Arc<Connections>,
}

impl Feed for Clusters {
    type Object = CloudHsmCluster;
    const NAME: &'static str = "cloudhsmclusters";

    fn put(&mut self, object: CloudHsmCluster) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let entry = Arc::new(convert::cluster(&object));
        self.index.tenant_or_new(&namespace).clusters.insert(name.as_str().into(), entry);
        self.connections.put_cluster((namespace, name), &object);
    }

    fn remove(&mut self, object: &ObjectName) {
        if let Some(tenant) = self.index.tenant(&object.0) {
            tenant.clusters.remove_if(object.1.as_str(), |_| true);
        }
        self.connections.remove_cluster(object);
    }

    fn retain(&mut self, present: &HashSet<ObjectName>) {
        self.index.each_tenant(|tenant| {
            tenant.clusters.retain(|name, _| present.contains(&(tenant.namespace.to_string(), name.to_string())));
        });
        self.connections.retain_clusters(present);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn store(name: &str, status: &serde_json::Value) -> CustomKeyStore {
        serde_json::from_value(json!({
            "apiVersion": "keystores.dev/v1alpha1", "kind": "CustomKeyStore",
            "metadata": {"name": name, "namespace": "team-a"},
            "spec": {"cloudHsmClusterRef": {"name": "c"}, "customKeyStoreId": "cks-1234567890abcdef0"},
            "status": status,
        }))
        .unwrap()
    }

    /// D2: `kubectl get -o yaml`, another name, `kubectl apply`.
    #[test]
    fn a_copied_manifest_does_not_stand_in_its_originals_place_and_its_end_takes_nothing_along() {
        let index = Arc::new(Index::default());
        let connections = Arc::new(Connections::new(String::new(), &[]));
        let mut feed = Stores { index: Arc::clone(&index), connections };
        let shown = || {
            let found = index.tenant("team-a").unwrap().stores.find("cks-1234567890abcdef0");
            found.map(|store| store.name.to_string())
        };
        let accepted = json!({"cloudHsmClusterId": "cluster-abcdefghijkabcde", "trustAnchorCertificate": "PEM"});
        feed.put(store("original", &accepted));
        feed.put(store("a-copy", &json!({})));
        assert_eq!(shown().as_deref(), Some("original"));
        feed.remove(&("team-a".to_owned(), "a-copy".to_owned()));
        assert_eq!(shown().as_deref(), Some("original"));
    }
}
