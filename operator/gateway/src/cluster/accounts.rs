//! Feeds accounts into the index: which namespace is which account (D1).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use operator_api::KeystoreAccount;

use super::feed::{Feed, ObjectName};
use crate::index::{Account, Index};

/// The feed of `KeystoreAccount`. Of several accounts of one namespace the oldest counts.
pub(super) struct Accounts {
    index: Arc<Index>,
    known: BTreeMap<String, (String, Option<Timestamp>)>,
}

impl Accounts {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self { index, known: BTreeMap::new() }
    }

    fn settle(&self, namespace: &str) {
        let candidates = self.known.iter().filter(|(_, (owner, _))| owner == namespace);
        // Ties, which only a restore makes, go to the smaller id: the same in every replica.
        let oldest = candidates.min_by_key(|(id, (_, created))| (*created, (*id).clone()));
        let account = oldest.map(|(id, _)| Account { id: id.clone() });
        self.index.tenant_or_new(namespace).set_account(account);
    }

    fn forget(&mut self, id: &str) {
        if let Some((namespace, _)) = self.known.remove(id) {
            self.settle(&namespace);
        }
    }
}

impl Feed for Accounts {
    type Object = KeystoreAccount;
    const NAME: &'static str = "keystoreaccounts";

    fn put(&mut self, object: KeystoreAccount) {
        let created = object.creation_timestamp().map(|time| time.0);
        let (id, namespace) = (object.name_any(), object.spec.namespace);
        self.known.insert(id, (namespace.clone(), created));
        self.settle(&namespace);
    }

    fn remove(&mut self, (_, name): &ObjectName) {
        self.forget(name);
    }

    fn retain(&mut self, present: &HashSet<ObjectName>) {
        let ids: Vec<_> = self.known.keys().cloned().collect();
        for id in ids.iter().filter(|id| !present.contains(&(String::new(), (*id).clone()))) {
            self.forget(id);
        }
    }
}
