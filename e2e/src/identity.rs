//! What the objects of the quickstart stand for: the same for ever, whatever becomes of the objects (D5, INV-12).

use anyhow::Result;
use kube::{Api, ResourceExt};
use operator_api::KeystoreAccount;
use operator_api::kms_key::KeyState;

use crate::quickstart::NAME;
use crate::scenario::Tenant;

/// Ids, certificate and fingerprint of account, cluster, store and key.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account ids of the installation.
    pub accounts: Vec<String>,
    /// The cluster's id.
    pub cluster: Option<String>,
    /// The fingerprint of the cluster certificate.
    pub certificate: Option<String>,
    /// The custom key store's id.
    pub store: Option<String>,
    /// The key's id.
    pub key: Option<String>,
    /// The commitment to the key's material.
    pub fingerprint: Option<String>,
    /// The key's ARN.
    pub arn: Option<String>,
}

impl Identity {
    /// Waits until the key is Enabled, and reads.
    ///
    /// # Errors
    /// When it does not become Enabled or an object is missing.
    pub async fn of(tenant: &Tenant) -> Result<Self> {
        let accounts = Api::<KeystoreAccount>::all(tenant.clusters().into_client()).list(&Default::default()).await?;
        let (cluster, store) = (tenant.clusters().get(NAME).await?, tenant.stores().get(NAME).await?);
        let key = tenant.key_reaches(NAME, KeyState::Enabled).await?;
        Ok(Self {
            accounts: accounts.iter().map(ResourceExt::name_any).collect(),
            cluster: cluster.spec.cluster_id,
            certificate: cluster.spec.cluster_certificate_fingerprint,
            store: store.spec.custom_key_store_id,
            key: key.spec.key_id,
            fingerprint: key.spec.material_fingerprint,
            arn: key.status.and_then(|status| status.arn),
        })
    }
}
