//! What the router's tests share: two tenants, stand-ins for HSMs and Kubernetes that can be told to fail, and a client
//! that signs as the AWS SDK does.

mod client;
mod stand_ins;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use audit::LineWriter;
use operator_api::ConnectionState;
use operator_api::kms_key::{KeyState, Origin};
use prometheus::Registry;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::index::{Account, AliasEntry, ClusterEntry, Index, KeyEntry, PublishedKey, StoreEntry};
use crate::sigv4::{Credential, SecretAccessKey, User};
use crate::{Gateway, Metrics, Parts, Place};

pub(crate) use client::{Answered, Client};
pub(crate) use stand_ins::{Hsms, Kube, Output, Rbac};

pub(crate) const REGION: &str = "local-1";
pub(crate) const ACCOUNT_A: &str = "111122223333";
pub(crate) const ACCOUNT_B: &str = "444455556666";
pub(crate) const STORE_A: &str = "cks-1234567890abcdef0";
pub(crate) const STORE_B: &str = "cks-abcdef01234567890";
pub(crate) const KEY_A: Uuid = Uuid::from_u128(0x1234_abcd_12ab_34cd_56ef_1234_5678_90ab);
pub(crate) const KEY_B: Uuid = Uuid::from_u128(0xbbbb_abcd_12ab_44cd_96ef_1234_5678_90ab);

/// A gateway with two tenants: `team-a` (user `app`) and `team-b`, each with a connected store, a key and an alias.
pub(crate) struct Bench {
    /// What is tested.
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) index: Arc<Index>,
    pub(crate) hsms: Arc<Hsms>,
    pub(crate) kube: Arc<Kube>,
    pub(crate) rbac: Arc<Rbac>,
    pub(crate) output: Output,
    pub(crate) a: Client,
    pub(crate) b: Client,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_key_patience(Duration::from_secs(30))
    }

    /// A bench whose CreateKey waits this long.
    pub(crate) fn with_key_patience(key_patience: Duration) -> Self {
        let (index, hsms) = (Arc::new(Index::default()), Arc::new(Hsms::default()));
        let kube = Arc::new(Kube { index: Arc::clone(&index), ..Kube::default() });
        let (rbac, output) = (Arc::new(Rbac::default()), Output::default());
        let mut gateway = Gateway::new(Parts {
            index: Arc::clone(&index),
            stores: Arc::clone(&hsms) as _,
            control: Arc::clone(&kube) as _,
            authorizer: Arc::clone(&rbac) as _,
            audit: Arc::new(LineWriter::start(output.clone()).unwrap()),
            metrics: Metrics::register(&Registry::new()).unwrap(),
            place: Place { partition: "aws".to_owned(), region: REGION.to_owned() },
        });
        gateway.key_patience = key_patience;
        let gateway = Arc::new(gateway);
        let a = Client::new(&gateway, "AKIAAAAAAAAAAAAAAAAA", "canary-secret-of-team-a");
        let b = Client::new(&gateway, "AKIABBBBBBBBBBBBBBBB", "canary-secret-of-team-b");
        tenant(&index, "team-a", ACCOUNT_A, &a, STORE_A, KEY_A);
        tenant(&index, "team-b", ACCOUNT_B, &b, STORE_B, KEY_B);
        Self { gateway, index, hsms, kube, rbac, output, a, b }
    }

    /// Changes the key of `team-a`.
    pub(crate) fn set_key(&self, change: impl FnOnce(&mut KeyEntry)) {
        let mut key = KeyEntry::clone(&self.index.tenant("team-a").unwrap().key_object("quickstart").unwrap());
        change(&mut key);
        self.index.put_key("team-a", key);
    }

    /// Changes the store of `team-a`.
    pub(crate) fn set_store(&self, change: impl FnOnce(&mut StoreEntry)) {
        let tenant = self.index.tenant("team-a").unwrap();
        let mut store = StoreEntry::clone(&tenant.stores.find(STORE_A).unwrap());
        change(&mut store);
        tenant.stores.insert(STORE_A.into(), Arc::new(store));
    }

    /// Changes the cluster of `team-a`.
    pub(crate) fn set_cluster(&self, active: bool, zones: &[&str]) {
        let active_zones: BTreeSet<String> = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let cluster = Arc::new(ClusterEntry { active, active_zones });
        self.index.tenant("team-a").unwrap().clusters.insert("payments".into(), cluster);
    }

    /// The audit records written so far.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let bytes = self.output.0.lock().unwrap().clone();
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

pub(crate) fn arn(account: &str, id: Uuid) -> String {
    format!("arn:aws:kms:{REGION}:{account}:key/{id}")
}

/// A published key.
pub(crate) fn key(name: &str, account: &str, id: Uuid, store: &str) -> KeyEntry {
    KeyEntry {
        name: name.into(),
        uid: format!("uid-{id}"),
        resource_version: "1".to_owned(),
        ordered: true,
        rejection: None,
        published: Some(PublishedKey {
            key_id: id,
            arn: arn(account, id),
            state: KeyState::Enabled,
            description: "the quickstart's key".to_owned(),
            origin: Origin::AwsCloudHsm,
            creation_date: Some("2026-11-22T10:00:00.5Z".parse().unwrap()),
            deletion_date: None,
            store_name: Some("payments-store".into()),
            custom_key_store_id: Some(store.into()),
            cloud_hsm_cluster_id: Some("cluster-abcdefghijk".to_owned()),
            backing_key_handle: Some("262162".to_owned()),
        }),
    }
}

fn tenant(index: &Index, namespace: &str, account: &str, client: &Client, store: &str, id: Uuid) {
    let tenant = index.tenant_or_new(namespace);
    tenant.set_account(Some(Account { id: account.to_owned() }));
    let user = User { namespace: namespace.into(), account_id: account.into(), name: "app".into(), uid: "u-1".into() };
    let secret = SecretAccessKey::new(Zeroizing::new(client.secret.to_owned()));
    index.put_credential(Credential::new(client.access_key_id.into(), secret, user));
    let entry = StoreEntry {
        name: "payments-store".into(),
        custom_key_store_id: store.into(),
        friendly_name: "Payments".to_owned(),
        state: ConnectionState::Connected,
        error_code: None,
        wants_connection: true,
        generation: 7,
        cluster_name: "payments".into(),
        cloud_hsm_cluster_id: Some("cluster-abcdefghijk".to_owned()),
        trust_anchor_certificate: None,
        creation_date: Some("2026-11-22T09:00:00Z".parse().unwrap()),
    };
    tenant.stores.insert(store.into(), Arc::new(entry));
    let active_zones = ["local-1a", "local-1b"].map(str::to_owned).into();
    tenant.clusters.insert("payments".into(), Arc::new(ClusterEntry { active: true, active_zones }));
    index.put_key(namespace, key("quickstart", account, id, store));
    let alias = AliasEntry {
        object: "quickstart".into(),
        alias_name: "alias/quickstart".into(),
        target: "quickstart".into(),
        creation_date: None,
        last_updated_date: None,
    };
    tenant.aliases.insert("alias/quickstart".into(), Arc::new(alias));
}

/// A lock that tests share with stand-ins.
pub(crate) type Shared<T> = Arc<Mutex<T>>;
