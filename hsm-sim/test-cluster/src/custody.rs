//! Secrets in memory, with the same rules as the API server's: what is there is never overwritten.

use hsm_client::Session;
use hsm_initialization::{Custody, CustodyError, Fencing, NoFence, SecretEntries, SecretName};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

/// Secrets of one cluster.
#[derive(Default)]
pub struct MemoryCustody {
    secrets: Mutex<BTreeMap<SecretName, BTreeMap<String, Vec<u8>>>>,
}

impl MemoryCustody {
    /// The text of an entry that must be there.
    pub fn text(&self, secret: SecretName, entry: &str) -> String {
        String::from_utf8(self.bytes(secret, entry)).expect("text")
    }

    /// The bytes of an entry that must be there.
    pub fn bytes(&self, secret: SecretName, entry: &str) -> Vec<u8> {
        self.secrets.lock().expect("lock")[&secret][entry].clone()
    }
}

impl Custody for MemoryCustody {
    async fn put_if_absent(&self, secret: SecretName, entries: SecretEntries) -> Result<(), CustodyError> {
        let mut secrets = self.secrets.lock().expect("lock");
        let present = secrets.entry(secret).or_default();
        for (name, value) in entries.iter() {
            present.entry(name.to_owned()).or_insert_with(|| value.to_vec());
        }
        Ok(())
    }

    async fn read(&self, secret: SecretName) -> Result<Option<SecretEntries>, CustodyError> {
        let secrets = self.secrets.lock().expect("lock");
        Ok(secrets.get(&secret).map(|present| {
            present.iter().fold(SecretEntries::default(), |entries, (name, value)| entries.with(name, value.as_slice()))
        }))
    }
}

/// The fences of one operator process, by HSM identity.
#[derive(Default)]
pub struct Fences {
    taken: tokio::sync::Mutex<HashMap<[u8; 32], u64>>,
}

impl Fencing for Fences {
    async fn fence_on(&self, session: &Session) -> Result<u64, NoFence> {
        let mut taken = self.taken.lock().await;
        let identity = session.identity().identity_fingerprint;
        if let Some(fence) = taken.get(&identity) {
            return Ok(*fence);
        }
        let fence = session.acquire_fence("test").await.map_err(|error| NoFence(error.to_string()))?;
        taken.insert(identity, fence);
        Ok(fence)
    }
}
