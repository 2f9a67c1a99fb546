//! The watch caches that one controller has and another reads: a count, or a settled object's store, is no reason for a second watch of a hundred
//! thousand objects. A cache may lag (INV-72), so nothing irreversible is decided from it (INV-71).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kube::{
    Resource, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};

/// When an object is looked at again that was refused something because of what a cache says of its siblings.
pub const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A cache that its owner fills in when it starts.
pub struct SharedStore<K: Resource<DynamicType = ()> + 'static>(Arc<OnceLock<Store<K>>>);

impl<K: Resource<DynamicType = ()> + 'static> Clone for SharedStore<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Resource<DynamicType = ()> + 'static> Default for SharedStore<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> SharedStore<K> {
    /// Fills the cache in; the first call counts.
    pub fn fill(&self, store: Store<K>) {
        // A process runs each controller once.
        let _ = self.0.set(store);
    }

    /// An object, if the cache has it.
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.0.get()?.get(&ObjectRef::new(name).within(namespace))
    }

    /// How many objects of a namespace are wanted; `None` while there is no cache.
    #[must_use]
    pub fn count(&self, namespace: &str, wanted: impl Fn(&K) -> bool) -> Option<usize> {
        let all = self.0.get()?.state();
        Some(all.iter().filter(|object| object.namespace().as_deref() == Some(namespace) && wanted(object)).count())
    }

    /// References to the objects of a namespace that are wanted.
    #[must_use]
    pub fn references(&self, namespace: &str, wanted: impl Fn(&K) -> bool) -> Vec<ObjectRef<K>> {
        let all = self.0.get().map(Store::state).unwrap_or_default();
        let here = all.iter().filter(|object| object.namespace().as_deref() == Some(namespace) && wanted(object));
        here.map(|object| ObjectRef::from_obj(&**object)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::{reflector, watcher};
    use operator_api::{KmsKey, KmsKeySpec};

    fn key(namespace: &str, name: &str) -> KmsKey {
        let mut key = KmsKey::new(name, KmsKeySpec::default());
        key.metadata.namespace = Some(namespace.into());
        key
    }

    #[test]
    fn a_cache_that_is_not_filled_in_knows_nothing_rather_than_zero() {
        let store = SharedStore::<KmsKey>::default();
        assert_eq!(store.count("a", |_| true), None);
        let (reader, mut writer) = reflector::store();
        store.fill(reader);
        writer.apply_watcher_event(&watcher::Event::Apply(key("a", "one")));
        writer.apply_watcher_event(&watcher::Event::Apply(key("b", "two")));
        assert_eq!(store.count("a", |_| true), Some(1));
        assert!(store.find("b", "two").is_some() && store.find("a", "two").is_none());
        assert_eq!(store.references("b", |key| key.name_any() == "two").len(), 1);
    }
}
