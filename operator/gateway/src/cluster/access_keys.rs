//! Feeds access keys into the index. The controllers make the Secrets (D10); their entries are trusted as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use super::secrets::Entries;
use crate::index::Index;
use crate::sigv4::{Credential, SecretAccessKey, User};

/// The access keys known, by the name of their Secret.
pub(super) struct AccessKeys {
    index: Arc<Index>,
    ids: HashMap<String, Arc<str>>,
}

impl AccessKeys {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self { index, ids: HashMap::new() }
    }

    /// Takes the access key of the Secret `name`.
    pub(super) fn put(&mut self, name: &str, data: &Entries) {
        let Some(credential) = read(data) else {
            tracing::error!(secret = name, "an access key's Secret is not complete");
            self.remove(name);
            return;
        };
        let id = Arc::clone(&credential.access_key_id);
        // A Secret that changes its id must not leave the old id usable.
        if self.ids.get(name).is_some_and(|present| *present != id) {
            self.remove(name);
        }
        self.ids.insert(name.to_owned(), id);
        self.index.put_credential(credential);
    }

    /// Forgets the access key of the Secret `name`.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(id) = self.ids.remove(name) {
            self.index.remove_credential(&id);
        }
    }

    /// Forgets every access key whose Secret `keep` does not know.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let gone: Vec<_> = self.ids.keys().filter(|name| !keep(name)).cloned().collect();
        gone.iter().for_each(|name| self.remove(name));
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

    #[test]
    fn a_complete_secret_is_an_access_key_until_it_goes() {
        let index = Arc::new(Index::default());
        let mut keys = AccessKeys::new(Arc::clone(&index));
        keys.put("access-key-one", &Entries::from(&COMPLETE[..]));
        assert_eq!(&*index.credential("AKIAONE").unwrap().user.namespace, "team-a");
        keys.retain(|name| name == "access-key-one");
        assert!(index.credential("AKIAONE").is_some());
        keys.remove("access-key-one");
        assert!(index.credential("AKIAONE").is_none());
    }

    #[test]
    fn a_secret_that_lacks_an_entry_is_no_access_key() {
        for (missing, _) in COMPLETE {
            let index = Arc::new(Index::default());
            let mut keys = AccessKeys::new(Arc::clone(&index));
            keys.put("one", &Entries::from(&COMPLETE[..]));
            let rest: Vec<_> = COMPLETE.into_iter().filter(|(name, _)| *name != missing).collect();
            keys.put("one", &Entries::from(&rest[..]));
            assert!(index.credential("AKIAONE").is_none(), "without {missing}");
        }
    }

    #[test]
    fn a_changed_id_makes_the_old_one_unknown() {
        let index = Arc::new(Index::default());
        let mut keys = AccessKeys::new(Arc::clone(&index));
        keys.put("one", &Entries::from(&COMPLETE[..]));
        let mut changed = COMPLETE;
        changed[0].1 = "AKIATWO";
        keys.put("one", &Entries::from(&changed[..]));
        assert!(index.credential("AKIAONE").is_none() && index.credential("AKIATWO").is_some());
    }
}
