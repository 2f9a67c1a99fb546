//! The fixed key index: one tenant, one access key, one connected store with one key.

use anyhow::Result;
use aws_lc_rs::rand;
use hsm_test_cluster::keys::STORE;
use kms_gateway::Place;
use kms_gateway::index::{Account, Index, KeyEntry, PublishedKey, StoreEntry};
use kms_gateway::sigv4::{Credential, SecretAccessKey, User};
use operator_api::ConnectionState;
use operator_api::kms_key::{KeyState, Origin};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Region of every signature.
pub(crate) const REGION: &str = "local-1";
const ACCOUNT: &str = "111122223333";
const NAMESPACE: &str = "bench";

/// An access key of this run. Has no `Debug`: it holds the secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl AccessKey {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub(crate) fn generate() -> Result<Self> {
        let mut bytes = [0; 20];
        rand::fill(&mut bytes)?;
        let secret = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id: "AKIABENCHBENCHBENCHB".to_owned(), secret })
    }
}

/// Where the endpoint is.
pub(super) fn place() -> Place {
    Place { partition: "aws".to_owned(), region: REGION.to_owned() }
}

/// Everything that a request needs to be known.
pub(super) fn index(access_key: &AccessKey, key_id: Uuid) -> Index {
    let index = Index::default();
    let tenant = index.tenant_or_new(NAMESPACE);
    tenant.set_account(Some(Account { id: ACCOUNT.to_owned() }));
    let user = User { namespace: NAMESPACE.into(), account_id: ACCOUNT.into(), name: "load".into(), uid: "u-1".into() };
    let secret = SecretAccessKey::new(Zeroizing::new(access_key.secret.clone()));
    index.put_credential(Credential::new(access_key.id.as_str().into(), secret, user));
    tenant.stores.insert(STORE.into(), std::sync::Arc::new(store()));
    index.put_key(NAMESPACE, key(key_id));
    index
}

fn store() -> StoreEntry {
    StoreEntry {
        name: "store".into(),
        custom_key_store_id: STORE.into(),
        friendly_name: "Store".to_owned(),
        state: ConnectionState::Connected,
        error_code: None,
        wants_connection: true,
        generation: 1,
        cluster_name: "cluster".into(),
        cloud_hsm_cluster_id: None,
        trust_anchor_certificate: None,
        creation_date: None,
    }
}

fn key(key_id: Uuid) -> KeyEntry {
    KeyEntry {
        name: "key".into(),
        uid: "u-2".to_owned(),
        resource_version: "1".to_owned(),
        ordered: true,
        rejection: None,
        published: Some(PublishedKey {
            key_id,
            arn: format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}"),
            state: KeyState::Enabled,
            description: String::new(),
            origin: Origin::AwsCloudHsm,
            creation_date: None,
            deletion_date: None,
            store_name: Some("store".into()),
            custom_key_store_id: Some(STORE.into()),
            cloud_hsm_cluster_id: None,
            backing_key_handle: None,
        }),
    }
}
