//! One namespace, which is one AWS account (D1), and the objects in it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use uuid::Uuid;

use super::Sharded;
use super::entry::{AliasEntry, ClusterEntry, KeyEntry, PublishedKey, StoreEntry};

/// The account of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The 12-digit account id.
    pub id: String,
}

/// A namespace and what is in it.
pub struct Tenant {
    /// The namespace.
    pub namespace: Arc<str>,
    account: ArcSwapOption<Account>,
    keys: Sharded<Arc<str>, KeyEntry>,
    published: Sharded<Uuid, KeyEntry>,
    /// Accepted aliases by AWS name.
    pub aliases: Sharded<Arc<str>, AliasEntry>,
    /// Stores by AWS id.
    pub stores: Sharded<Arc<str>, StoreEntry>,
    /// Clusters by object name.
    pub clusters: Sharded<Arc<str>, ClusterEntry>,
}

impl Tenant {
    pub(super) fn new(namespace: Arc<str>) -> Self {
        Self {
            namespace,
            account: ArcSwapOption::const_empty(),
            keys: Sharded::default(),
            published: Sharded::default(),
            aliases: Sharded::default(),
            stores: Sharded::default(),
            clusters: Sharded::default(),
        }
    }

    /// Whether this is the account. The namespace has none before it has been onboarded, and then nobody in it can sign.
    pub fn has_account(&self, id: &str) -> bool {
        self.account.load().as_ref().is_some_and(|account| account.id == id)
    }

    /// Sets or clears the account.
    pub fn set_account(&self, account: Option<Account>) {
        self.account.store(account.map(Arc::new));
    }

    /// The key with this AWS id, if its material is durable.
    pub fn key(&self, id: Uuid) -> Option<Arc<KeyEntry>> {
        self.published.find(&id)
    }

    /// The key of the object `name`, published or not.
    pub fn key_object(&self, name: &str) -> Option<Arc<KeyEntry>> {
        self.keys.find(name)
    }

    /// Published keys in order of their id, after the id `after`.
    pub fn keys_page(&self, after: Option<&Uuid>, limit: usize) -> Vec<Arc<KeyEntry>> {
        self.published.page(after, limit)
    }

    /// Number of published keys.
    pub fn key_count(&self) -> usize {
        self.published.len()
    }

    /// The store that holds a key.
    pub fn store_of(&self, key: &PublishedKey) -> Option<Arc<StoreEntry>> {
        let store = self.stores.find(key.custom_key_store_id.as_deref()?)?;
        (Some(&store.name) == key.store_name.as_ref()).then_some(store)
    }

    /// Adds or replaces a key. A second object with the id of a published key does not displace it: whoever may write
    /// objects must not be able to take over an id that is in use.
    pub(super) fn put_key(&self, key: KeyEntry) {
        let key = Arc::new(key);
        let previous = self.keys.find(&*key.name).and_then(|previous| Some(previous.published.as_ref()?.key_id));
        let now = key.published.as_ref().map(|published| published.key_id);
        self.keys.insert(Arc::clone(&key.name), Arc::clone(&key));
        if let Some(previous) = previous.filter(|previous| Some(*previous) != now) {
            self.published.remove_if(&previous, |entry| entry.name == key.name);
        }
        if let Some(id) = now
            && self.published.find(&id).is_none_or(|present| present.name == key.name)
        {
            self.published.insert(id, key);
        }
    }

    pub(super) fn remove_key(&self, name: &str) {
        if let Some(id) = self.keys.find(name).and_then(|key| Some(key.published.as_ref()?.key_id)) {
            self.published.remove_if(&id, |entry| &*entry.name == name);
        }
        self.keys.remove_if(name, |_| true);
    }

    /// Names of the key objects of which `keep` says no.
    #[cfg(feature = "cluster")]
    pub(crate) fn stale_keys(&self, keep: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let all = self.keys.page(None, usize::MAX);
        all.iter().filter(|key| !keep(&key.name)).map(|key| Arc::clone(&key.name)).collect()
    }
}
