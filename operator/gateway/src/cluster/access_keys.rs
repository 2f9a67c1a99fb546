//! Feeds access keys into the index: the Secret that the controllers made of each (D10), while the `KmsAccessKey` is there that it was made for.
//!
//! A Secret's entries are trusted as a whole, but not its being there: when an object's finalizer is taken off by hand nobody withdraws the
//! Secret, and whoever holds it could sign for ever. What was never listed is not gone: while the API server cannot be asked, what is known stays.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;
use operator_api::KmsAccessKey;

use super::feed::{Feed, ObjectName};
use super::secrets::Entries;
use crate::index::Index;
use crate::sigv4::{Credential, SecretAccessKey, User};

/// The access keys known. In the index are those that have both their Secret and their object.
pub(super) struct AccessKeys {
    index: Arc<Index>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By the name of their Secret.
    credentials: HashMap<String, Arc<Credential>>,
    /// The uid of every `KmsAccessKey`.
    objects: HashMap<ObjectName, String>,
}

impl AccessKeys {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self { index, known: Mutex::default() }
    }

    /// Takes the access key of the Secret `name`.
    pub(super) fn put(&self, name: &str, data: &Entries) {
        let Some(credential) = read(data).map(Arc::new) else {
            tracing::error!(secret = name, "an access key's Secret is not complete");
            self.remove(name);
            return;
        };
        let mut known = self.lock();
        let present = known.credentials.insert(name.to_owned(), Arc::clone(&credential));
        // A Secret that changes its id must not leave the old id usable.
        if let Some(present) = present.filter(|present| present.access_key_id != credential.access_key_id) {
            self.index.remove_credential(&present.access_key_id);
        }
        self.settle(&known, &credential);
    }

    /// Forgets the access key of the Secret `name`.
    pub(super) fn remove(&self, name: &str) {
        if let Some(credential) = self.lock().credentials.remove(name) {
            self.index.remove_credential(&credential.access_key_id);
        }
    }

    /// Forgets every access key whose Secret `keep` does not know.
    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        let gone: Vec<_> = self.lock().credentials.keys().filter(|name| !keep(name)).cloned().collect();
        gone.iter().for_each(|name| self.remove(name));
    }

    fn put_object(&self, object: &ObjectName, uid: String) {
        let mut known = self.lock();
        if known.objects.get(object) != Some(&uid) {
            known.objects.insert(object.clone(), uid);
            self.settle_those_of(&known, object);
        }
    }

    fn remove_object(&self, object: &ObjectName) {
        let mut known = self.lock();
        if known.objects.remove(object).is_some() {
            self.settle_those_of(&known, object);
        }
    }

    fn retain_objects(&self, present: &HashSet<ObjectName>) {
        let gone: Vec<_> = self.lock().objects.keys().filter(|object| !present.contains(*object)).cloned().collect();
        gone.iter().for_each(|object| self.remove_object(object));
    }

    fn settle_those_of(&self, known: &Known, (namespace, name): &ObjectName) {
        let theirs = |user: &User| *user.namespace == **namespace && *user.name == **name;
        let credentials = known.credentials.values().filter(|credential| theirs(&credential.user));
        credentials.for_each(|credential| self.settle(known, credential));
    }

    /// An object that was made anew under an old name is another one: the old Secret stays without effect.
    fn settle(&self, known: &Known, credential: &Arc<Credential>) {
        let user = &credential.user;
        let uid = known.objects.get(&(user.namespace.to_string(), user.name.to_string()));
        if uid.is_some_and(|uid| **uid == *user.uid) {
            self.index.put_credential(Arc::clone(credential));
        } else {
            self.index.remove_credential(&credential.access_key_id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feed of `KmsAccessKey`.
pub(super) struct AccessKeyObjects(pub(super) Arc<AccessKeys>);

impl Feed for AccessKeyObjects {
    type Object = KmsAccessKey;
    const NAME: &'static str = "kmsaccesskeys";

    fn put(&mut self, object: KmsAccessKey) {
        let uid = object.uid().unwrap_or_default();
        self.0.put_object(&(object.namespace().unwrap_or_default(), object.name_any()), uid);
    }

    fn remove(&mut self, object: &ObjectName) {
        self.0.remove_object(object);
    }

    fn retain(&mut self, present: &HashSet<ObjectName>) {
        self.0.retain_objects(present);
    }
}

fn read(data: &Entries) -> Option<Credential> {
    let text = |entry| data.text(entry).filter(|text| !text.is_empty());
    let user = User {
        namespace: text("namespace")?.into(),
        account_id: text("account-id")?.into(),
        name: text("name")?.into(),
        uid: text("uid")?.into(),
    };
    let secret = data.secret("secret-access-key").filter(|secret| !secret.is_empty())?;
    Some(Credential::new(text("access-key-id")?.into(), SecretAccessKey::new(secret), user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::CredentialSource;

    const COMPLETE: [(&str, &str); 6] = [
        ("access-key-id", "AKIAONE"),
        ("secret-access-key", "secret\n"),
        ("namespace", "team-a"),
        ("name", "app"),
        ("account-id", "111122223333"),
        ("uid", "u-1"),
    ];

    fn object() -> ObjectName {
        ("team-a".to_owned(), "app".to_owned())
    }

    /// Access keys whose only object is the one of [`COMPLETE`].
    fn keys(index: &Arc<Index>) -> AccessKeys {
        let keys = AccessKeys::new(Arc::clone(index));
        keys.put_object(&object(), "u-1".to_owned());
        keys
    }

    #[test]
    fn a_complete_secret_is_an_access_key_until_it_goes() {
        let index = Arc::new(Index::default());
        let keys = keys(&index);
        keys.put("access-key-one", &Entries::from(&COMPLETE[..]));
        assert_eq!(&*index.credential("AKIAONE").unwrap().user.namespace, "team-a");
        keys.retain(|name| name == "access-key-one");
        assert!(index.credential("AKIAONE").is_some());
        keys.remove("access-key-one");
        assert!(index.credential("AKIAONE").is_none());
    }

    /// D10: whichever is heard of first, and also when the end of the object was not seen.
    #[test]
    fn a_secret_counts_only_while_the_object_is_there_that_it_was_made_for() {
        let index = Arc::new(Index::default());
        let keys = AccessKeys::new(Arc::clone(&index));
        let usable = || index.credential("AKIAONE").is_some();
        keys.put("one", &Entries::from(&COMPLETE[..]));
        assert!(!usable(), "no object has been listed");
        keys.put_object(&object(), "u-1".to_owned());
        assert!(usable());
        keys.put_object(&("team-a".to_owned(), "other".to_owned()), "u-2".to_owned());
        keys.remove_object(&("team-a".to_owned(), "other".to_owned()));
        keys.retain_objects(&HashSet::from([object()]));
        assert!(usable(), "another object has gone");
        keys.remove_object(&object());
        assert!(!usable(), "its finalizer was taken off by hand, and its Secret left behind");
        keys.put_object(&object(), "u-3".to_owned());
        assert!(!usable(), "another object of the same name");
        keys.put_object(&object(), "u-1".to_owned());
        assert!(usable(), "etcd was restored");
        keys.retain_objects(&HashSet::new());
        assert!(!usable(), "it went unseen");
    }

    #[test]
    fn a_secret_that_lacks_an_entry_is_no_access_key() {
        for (missing, _) in COMPLETE {
            let index = Arc::new(Index::default());
            let keys = keys(&index);
            keys.put("one", &Entries::from(&COMPLETE[..]));
            assert!(index.credential("AKIAONE").is_some());
            let rest: Vec<_> = COMPLETE.into_iter().filter(|(name, _)| *name != missing).collect();
            keys.put("one", &Entries::from(&rest[..]));
            assert!(index.credential("AKIAONE").is_none(), "without {missing}");
        }
    }

    #[test]
    fn a_changed_id_makes_the_old_one_unknown() {
        let index = Arc::new(Index::default());
        let keys = keys(&index);
        keys.put("one", &Entries::from(&COMPLETE[..]));
        let mut changed = COMPLETE;
        changed[0].1 = "AKIATWO";
        keys.put("one", &Entries::from(&changed[..]));
        assert!(index.credential("AKIAONE").is_none() && index.credential("AKIATWO").is_some());
    }
}
