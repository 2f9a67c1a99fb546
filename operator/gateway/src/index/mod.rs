//! What the gateway knows, in memory: access keys, accounts, keys, aliases, stores and clusters.
//!
//! Fed by watches (the `cluster` module) or by a bench; knows nothing of Kubernetes. Readers never lock, wait or allocate
//! in proportion to the number of keys: a request costs a few pointer loads here (performance §3).
//!
//! Security: everything but access keys is found through the caller's own [`Tenant`]. There is no way to ask the index
//! for an object of another namespace, so no operation can forget to check (INV-67).

mod entry;
mod sharded;
mod tenant;

use std::sync::Arc;

use tokio::sync::watch;

pub use entry::{AliasEntry, ClusterEntry, KeyEntry, PublishedKey, Rejection, StoreEntry};
pub use sharded::Sharded;
pub use tenant::{Account, Tenant};

use crate::sigv4::{Credential, CredentialSource};

/// Everything the gateway knows.
pub struct Index {
    credentials: Sharded<Arc<str>, Credential>,
    tenants: Sharded<Arc<str>, Tenant>,
    /// Counts changes of keys: whoever waits for a key looks again when it moves.
    key_changes: watch::Sender<u64>,
}

impl Default for Index {
    fn default() -> Self {
        Self { credentials: Sharded::default(), tenants: Sharded::default(), key_changes: watch::Sender::new(0) }
    }
}

impl Index {
    /// The tenant of `namespace`, if anything is known about it.
    pub fn tenant(&self, namespace: &str) -> Option<Arc<Tenant>> {
        self.tenants.find(namespace)
    }

    /// The tenant of `namespace`, made when it is new. For the watches only: a request never makes a tenant.
    pub fn tenant_or_new(&self, namespace: &str) -> Arc<Tenant> {
        self.tenant(namespace).unwrap_or_else(|| {
            let namespace: Arc<str> = namespace.into();
            self.tenants.find_or_insert(&namespace, || Tenant::new(Arc::clone(&namespace)))
        })
    }

    /// Adds or replaces an access key.
    pub fn put_credential(&self, credential: impl Into<Arc<Credential>>) {
        let credential = credential.into();
        self.credentials.insert(Arc::clone(&credential.access_key_id), credential);
    }

    /// Removes an access key.
    pub fn remove_credential(&self, access_key_id: &str) {
        self.credentials.remove_if(access_key_id, |_| true);
    }

    /// Adds or replaces a key.
    pub fn put_key(&self, namespace: &str, key: KeyEntry) {
        self.tenant_or_new(namespace).put_key(key);
        self.key_changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Removes the key object `name`.
    pub fn remove_key(&self, namespace: &str, name: &str) {
        if let Some(tenant) = self.tenant(namespace) {
            tenant.remove_key(name);
        }
        self.key_changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A receiver that is told of every change of any key.
    pub fn watch_keys(&self) -> watch::Receiver<u64> {
        self.key_changes.subscribe()
    }

    /// Calls `visit` for every tenant. For the watches' reconciliation after a relist; not on the request path.
    pub fn each_tenant(&self, mut visit: impl FnMut(&Tenant)) {
        self.tenants.page(None, usize::MAX).iter().for_each(|tenant| visit(tenant));
    }
}

impl CredentialSource for Index {
    fn credential(&self, access_key_id: &str) -> Option<Arc<Credential>> {
        self.credentials.find(access_key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind has a watch of its own, and all of them list at start: none may fill a tenant that another replaces.
    #[test]
    fn watches_that_meet_a_new_namespace_at_once_share_one_tenant() {
        for _ in 0..200 {
            let index = Index::default();
            let start = std::sync::Barrier::new(6);
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        start.wait();
                        let seen = index.tenant_or_new("team-a");
                        std::thread::yield_now();
                        assert!(Arc::ptr_eq(&seen, &index.tenant_or_new("team-a")), "a tenant was replaced");
                    });
                }
            });
        }
    }
}
