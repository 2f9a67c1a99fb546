//! What there is now, as far as the plan asks: a value, so that the plan can be a function.

use std::collections::BTreeMap;

use operator_api::RecordedKind;
use serde_json::Value;

/// One object that exists.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) kind: RecordedKind,
    /// The tenant's namespace: the object's own, or the one that an account stands for.
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    /// It has a `deletionTimestamp`.
    pub(crate) terminating: bool,
    /// The controllers have refused it as a copy: it says an id that it does not have.
    pub(crate) refused: bool,
    pub(crate) spec: Value,
}

impl Object {
    /// The first of its kind's set-once fields, or an account's id.
    pub(crate) fn identity(&self) -> Option<&str> {
        match self.kind {
            RecordedKind::KeystoreAccount => Some(&self.name),
            kind => kind.identity_fields().first().and_then(|field| self.spec[field].as_str()),
        }
    }
}

/// Everything that exists, found by name and by identity.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    objects: Vec<Object>,
    by_name: BTreeMap<(RecordedKind, String, String), usize>,
    by_identity: BTreeMap<(RecordedKind, String, String), usize>,
    /// Namespaces, and whether they are being deleted.
    pub(crate) namespaces: BTreeMap<String, bool>,
}

impl World {
    pub(crate) fn new(namespaces: BTreeMap<String, bool>, objects: Vec<Object>) -> Self {
        let mut world = Self { namespaces, ..Self::default() };
        for object in objects {
            world.add(object);
        }
        world
    }

    fn add(&mut self, object: Object) {
        let at = self.objects.len();
        let place = |last: &str| (object.kind, object.namespace.clone(), last.to_owned());
        self.by_name.insert(place(&object.name), at);
        if let Some(identity) = object.identity().filter(|_| !object.refused) {
            self.by_identity.insert(place(identity), at);
        }
        self.objects.push(object);
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter()
    }

    pub(crate) fn named(&self, kind: RecordedKind, namespace: &str, name: &str) -> Option<&Object> {
        let at = self.by_name.get(&(kind, namespace.to_owned(), name.to_owned()))?;
        self.objects.get(*at)
    }

    /// The object that has an identity.
    pub(crate) fn with_identity(&self, kind: RecordedKind, namespace: &str, identity: &str) -> Option<&Object> {
        let at = self.by_identity.get(&(kind, namespace.to_owned(), identity.to_owned()))?;
        self.objects.get(*at)
    }

    /// The objects of a kind in a namespace.
    pub(crate) fn within<'a>(
        &'a self,
        kind: RecordedKind,
        namespace: &str,
    ) -> impl Iterator<Item = &'a Object> + use<'a> {
        let from = (kind, namespace.to_owned(), String::new());
        let namespace = namespace.to_owned();
        let here = self.by_name.range(from..).take_while(move |((k, n, _), _)| *k == kind && *n == namespace);
        here.filter_map(|(_, at)| self.objects.get(*at))
    }
}
