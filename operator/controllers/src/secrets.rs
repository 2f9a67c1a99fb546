//! Secrets by name in the installation's namespaces: read, put if absent, read back. Nothing here lists or watches (D10).
//!
//! Security: values are zeroised when dropped and have no `Debug`. k8s-openapi's own `Secret` does print its bytes, so it never leaves this file.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ObjectMeta;
use zeroize::{Zeroize, Zeroizing};

use crate::report::{Failure, Retry};
use crate::write::{WriteError, Writes};

/// The entries of one Secret.
#[derive(Default)]
pub struct SecretData(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl SecretData {
    /// Adds or replaces an entry.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.0.insert(key.to_owned(), Zeroizing::new(value.into()));
        self
    }

    /// The bytes of an entry.
    #[must_use]
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(|value| value.as_slice())
    }

    /// The text of an entry; `None` when it is missing or no UTF-8.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.bytes(key).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Names of the entries.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// A Secret as it was read, with the version that a replacement is compared with.
pub struct StoredSecret {
    /// Its entries.
    pub data: SecretData,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    labels: BTreeMap<String, String>,
}

#[cfg(test)]
impl StoredSecret {
    /// A Secret as if it had been read, for the tests of other modules.
    pub(crate) fn for_tests(data: SecretData) -> Self {
        Self { data, uid: "uid".into(), resource_version: "1".into(), labels: BTreeMap::new() }
    }
}

/// Failure to read or write a Secret. Holds names, never values.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The API server did not answer or refused.
    #[error("failed to read Secret {namespace}/{name}")]
    Read {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Cause.
        #[source]
        source: kube::Error,
    },
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Written a moment ago and not there now.
    #[error("failed to read back Secret {namespace}/{name}: it is gone")]
    Vanished {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// An entry that a Secret of ours always has.
    #[error("failed to use Secret {name}: entry {key} is missing or malformed")]
    Entry {
        /// Name.
        name: String,
        /// Entry.
        key: String,
    },
}

impl Failure for SecretError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read { source: kube::Error::Api(status), .. } if status.is_forbidden() => "ApiForbidden",
            Self::Read { .. } => "ApiUnavailable",
            Self::Write(error) => error.reason(),
            Self::Vanished { .. } => "SecretVanished",
            Self::Entry { .. } => "SecretMalformed",
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Reads and writes Secrets for one controller.
#[derive(Clone)]
pub struct SecretStore {
    writes: Writes,
}

impl SecretStore {
    pub(crate) fn new(writes: Writes) -> Self {
        Self { writes }
    }

    /// Quorum read.
    ///
    /// # Errors
    /// [`SecretError::Read`]; a missing Secret is `None`.
    pub async fn read(&self, namespace: &str, name: &str) -> Result<Option<StoredSecret>, SecretError> {
        match self.api(namespace).get_opt(name).await {
            Ok(secret) => Ok(secret.map(stored)),
            Err(source) => Err(SecretError::Read { namespace: namespace.into(), name: name.into(), source }),
        }
    }

    /// Creates the Secret unless one of this name exists, then reads it back: what is returned is what is stored, whoever wrote it.
    ///
    /// # Errors
    /// See [`SecretError`]; that the Secret exists is no error.
    pub async fn put_if_absent(
        &self,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
        data: SecretData,
    ) -> Result<StoredSecret, SecretError> {
        match self.create(namespace, name, labels, data).await {
            Err(SecretError::Write(error)) if error.is_conflict() => {}
            other => other?,
        }
        let gone = || SecretError::Vanished { namespace: namespace.into(), name: name.into() };
        self.read(namespace, name).await?.ok_or_else(gone)
    }

    /// Creates the Secret.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] inside [`SecretError::Write`] when one of this name exists.
    pub async fn create(
        &self,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
        data: SecretData,
    ) -> Result<(), SecretError> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut secret = secret(name, labels, data);
        let written = self.writes.create(&self.api(namespace), &secret).await;
        wipe(&mut secret);
        wipe(&mut written?);
        Ok(())
    }

    /// Replaces the entries of exactly the version that was read, then reads it back. Labels stay.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] inside [`SecretError::Write`] when the Secret has changed since.
    pub async fn replace(
        &self,
        namespace: &str,
        name: &str,
        read: &StoredSecret,
        data: SecretData,
    ) -> Result<StoredSecret, SecretError> {
        let mut secret = secret(name, read.labels.clone(), data);
        secret.metadata.resource_version = Some(read.resource_version.clone());
        secret.metadata.uid = Some(read.uid.clone());
        let written = self.writes.replace(&self.api(namespace), &secret).await;
        wipe(&mut secret);
        wipe(&mut written?);
        let gone = || SecretError::Vanished { namespace: namespace.into(), name: name.into() };
        self.read(namespace, name).await?.ok_or_else(gone)
    }

    fn api(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.writes.client().clone(), namespace)
    }
}

fn secret(name: &str, labels: BTreeMap<String, String>, data: SecretData) -> Secret {
    let entries = data.0.into_iter().map(|(key, mut value)| (key, ByteString(std::mem::take(&mut *value)))).collect();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    Secret { metadata, data: Some(entries), type_: Some("Opaque".into()), ..Secret::default() }
}

fn stored(mut secret: Secret) -> StoredSecret {
    let entries = secret.data.take().unwrap_or_default();
    StoredSecret {
        data: SecretData(entries.into_iter().map(|(key, value)| (key, Zeroizing::new(value.0))).collect()),
        uid: secret.metadata.uid.unwrap_or_default(),
        resource_version: secret.metadata.resource_version.unwrap_or_default(),
        labels: secret.metadata.labels.unwrap_or_default(),
    }
}

fn wipe(secret: &mut Secret) {
    for value in secret.data.iter_mut().flat_map(BTreeMap::values_mut) {
        value.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_the_way_through_a_secret_and_text_must_be_utf8() {
        let data = SecretData::default().with("share", vec![0xff, 0x00]).with("name", "payments");
        let stored = stored(secret("s", BTreeMap::new(), data));
        assert_eq!(stored.data.bytes("share"), Some(&[0xff, 0x00][..]));
        assert_eq!(stored.data.text("name"), Some("payments"));
        assert_eq!(stored.data.text("share"), None);
    }
}
