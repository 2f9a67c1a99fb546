//! The initialisation procedure's Secrets, kept in the API server: what pods mount beside the pods, everything else in the vault.

use hsm_initialization::custody::{Custody, CustodyError, SecretEntries, SecretName};
use operator_api::labels;

use crate::context::Context;
use crate::report::{Controller, chain};
use crate::secrets::{SecretData, SecretError, SecretStore};

/// How often a write is tried when somebody else writes the same Secret: there is one leader, so once more is enough.
const TRIES: usize = 2;

/// The Secrets of one cluster.
pub(super) struct ClusterSecrets {
    store: SecretStore,
    cluster_id: String,
    beside_the_pods: String,
    vault: String,
}

impl ClusterSecrets {
    pub(super) fn new(context: &Context, cluster_id: &str) -> Self {
        let namespaces = context.namespaces();
        Self {
            store: context.secrets(Controller::CloudHsmCluster),
            cluster_id: cluster_id.to_owned(),
            beside_the_pods: namespaces.hsm.clone(),
            vault: namespaces.vault.clone(),
        }
    }

    /// Where a Secret is: namespace and name.
    pub(super) fn place(&self, secret: SecretName) -> (&str, String) {
        let namespace = if secret.is_beside_the_pods() { &self.beside_the_pods } else { &self.vault };
        (namespace, secret.of(&self.cluster_id))
    }

    async fn add(&self, secret: SecretName, entries: &SecretEntries) -> Result<(), SecretError> {
        let (namespace, name) = self.place(secret);
        let Some(stored) = self.store.read(namespace, &name).await? else {
            let labels = [(labels::CLUSTER_ID, self.cluster_id.as_str()), (labels::MANAGED_BY, labels::OPERATOR)];
            self.store.create(namespace, &name, &labels, merged(&SecretData::default(), entries)).await?;
            return Ok(());
        };
        if entries.iter().all(|(key, _)| stored.data.bytes(key).is_some()) {
            return Ok(());
        }
        self.store.replace(namespace, &name, &stored, merged(&stored.data, entries)).await?;
        Ok(())
    }
}

impl Custody for ClusterSecrets {
    async fn put_if_absent(&self, secret: SecretName, entries: SecretEntries) -> Result<(), CustodyError> {
        for last in (0..TRIES).map(|attempt| attempt + 1 == TRIES) {
            match self.add(secret, &entries).await {
                Err(SecretError::Write(error)) if error.is_conflict() && !last => {}
                other => return other.map_err(|error| failed(secret, &error)),
            }
        }
        Ok(())
    }

    async fn read(&self, secret: SecretName) -> Result<Option<SecretEntries>, CustodyError> {
        let (namespace, name) = self.place(secret);
        let stored = self.store.read(namespace, &name).await.map_err(|error| failed(secret, &error))?;
        Ok(stored.map(|stored| {
            let entry =
                |entries: SecretEntries, key: &str| entries.with(key, stored.data.bytes(key).unwrap_or_default());
            stored.data.keys().fold(SecretEntries::default(), entry)
        }))
    }
}

/// `present` with those of `entries` that it lacks.
fn merged(present: &SecretData, entries: &SecretEntries) -> SecretData {
    let copy = |data: SecretData, key: &str| data.with(key, present.bytes(key).unwrap_or_default());
    let all = present.keys().fold(SecretData::default(), copy);
    entries
        .iter()
        .fold(all, |data, (key, value)| if present.bytes(key).is_some() { data } else { data.with(key, value) })
}

fn failed(secret: SecretName, error: &SecretError) -> CustodyError {
    CustodyError { secret, reason: chain(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// INV-24, INV-25: a password that was written once is never replaced by another one.
    #[test]
    fn an_entry_that_exists_is_kept_and_a_missing_one_is_added() {
        let present = SecretData::default().with("password", "first").with("other", "kept");
        let entries = SecretEntries::default().with("password", "second").with("op-id", "new");
        let merged = merged(&present, &entries);
        assert_eq!(merged.text("password"), Some("first"));
        assert_eq!(merged.text("other"), Some("kept"));
        assert_eq!(merged.text("op-id"), Some("new"));
    }
}
