//! Feeds keys and aliases into the index.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt;
use operator_api::{KmsAlias, KmsKey};

use super::convert;
use super::feed::{Feed, ObjectName};
use crate::index::{Index, Tenant};

/// The feed of `KmsKey`.
pub(super) struct Keys(pub(super) Arc<Index>);

impl Feed for Keys {
    type Object = KmsKey;
    const NAME: &'static str = "kmskeys";

    fn put(&mut self, object: KmsKey) {
        self.0.put_key(&object.namespace().unwrap_or_default(), convert::key(&object));
    }

    fn remove(&mut self, (namespace, name): &ObjectName) {
        self.0.remove_key(namespace, name);
    }

    fn retain(&mut self, present: &HashSet<ObjectName>) {
        let mut stale = Vec::new();
        self.0.each_tenant(|tenant| {
            let namespace = tenant.namespace.to_string();
            let names = tenant.stale_keys(|name| present.contains(&(namespace.clone(), name.to_owned())));
            stale.extend(names.into_iter().map(|name| (namespace.clone(), name)));
        });
        stale.iter().for_each(|(namespace, name)| self.0.remove_key(namespace, name));
    }
}

/// The feed of `KmsAlias`.
pub(super) struct Aliases(pub(super) Arc<Index>);

impl Feed for Aliases {
    type Object = KmsAlias;
    const NAME: &'static str = "kmsaliases";

    fn put(&mut self, object: KmsAlias) {
        let tenant = self.0.tenant_or_new(&object.namespace().unwrap_or_default());
        match convert::alias(&object) {
            Some(entry) => tenant.aliases.insert(Arc::clone(&entry.alias_name), Arc::new(entry)),
            None => forget(&tenant, &object.name_any()),
        }
    }

    fn remove(&mut self, (namespace, name): &ObjectName) {
        if let Some(tenant) = self.0.tenant(namespace) {
            forget(&tenant, name);
        }
    }

    fn retain(&mut self, present: &HashSet<ObjectName>) {
        self.0.each_tenant(|tenant| {
            tenant
                .aliases
                .retain(|_, entry| present.contains(&(tenant.namespace.to_string(), entry.object.to_string())));
        });
    }
}

fn forget(tenant: &Tenant, object: &str) {
    tenant.aliases.retain(|_, entry| &*entry.object != object);
}
