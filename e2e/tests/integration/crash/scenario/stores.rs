//! A store that is accepted (name, lineage, id) and one that goes: claims in the API server and in the HSMs (P3, INV-39…INV-44).

use anyhow::{Context, Result};
use e2e::installation::SYSTEM_NAMESPACE;
use e2e::object;
use e2e::quickstart::NAME;
use kube::Api;
use kube::api::{ListParams, PostParams};
use operator_api::{ConnectionState, CustomKeyStore, KeystoreClaim};
use operator_controllers::effect::Site;
use serde_json::{Value, json};

use super::{Scenario, connection};
use crate::crash::bench::Bench;
use crate::crash::snapshot;

pub(crate) const ACCEPT: &[Site] = &[
    Site::Finalizer,
    Site::StoreNameClaim,
    Site::StoreLineageClaim,
    Site::StoreId,
    Site::StoreRecord,
    Site::StoreStatus,
];
pub(crate) const REMOVE: &[Site] =
    &[Site::DisconnectReleaseClaim, Site::StoreRecord, Site::StoreClaimRelease, Site::Finalizer];

async fn create(bench: &Bench, connection: &str) -> Result<()> {
    let store: CustomKeyStore = serde_json::from_value(json!({
        "apiVersion": "keystores.dev/v1alpha1", "kind": "CustomKeyStore", "metadata": { "name": NAME },
        "spec": { "cloudHsmClusterRef": { "name": NAME }, "connection": connection },
    }))?;
    bench.tenant.stores().create(&PostParams::default(), &store).await?;
    Ok(())
}

async fn delete(bench: &Bench) -> Result<()> {
    if bench.tenant.stores().get_opt(NAME).await?.is_some() {
        object::delete_unprotected(&bench.tenant.stores(), NAME).await?;
    }
    Ok(())
}

async fn gone(bench: &Bench) -> Result<()> {
    object::gone(&bench.tenant.stores(), NAME).await
}

/// Purposes of the claims that name the store.
async fn claims(bench: &Bench) -> Result<Value> {
    let claims: Api<KeystoreClaim> = Api::namespaced(bench.client.clone(), SYSTEM_NAMESPACE);
    let claims = claims.list(&ListParams::default()).await?.items;
    let mut purposes: Vec<_> = claims
        .iter()
        .map(|claim| serde_json::to_value(&claim.spec).map(|spec| spec["purpose"].to_string()))
        .collect::<Result<_, _>>()?;
    purposes.sort();
    Ok(json!(purposes))
}

/// From a new object to an accepted store.
pub(crate) struct Accept;

impl Scenario for Accept {
    fn name(&self) -> String {
        "a store is accepted".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        ACCEPT
    }

    async fn prepare(&self, bench: &mut Bench, _run: usize) -> Result<()> {
        delete(bench).await?;
        gone(bench).await
    }

    async fn ask(&self, bench: &Bench, _run: usize) -> Result<()> {
        create(bench, "DISCONNECTED").await
    }

    async fn finished(&self, bench: &Bench, _run: usize) -> Result<()> {
        object::says(&bench.tenant.stores(), NAME, "Accepted", "True").await.map(|_| ())
    }

    async fn snapshot(&self, bench: &Bench, _run: usize) -> Result<Value> {
        let store = bench.tenant.stores().get(NAME).await?;
        let status = store.status.context("no status")?;
        Ok(json!({
            "state": status.connection_state, "conditions": snapshot::conditions(&status.conditions),
            "id": store.spec.custom_key_store_id.is_some(), "finalizers": store.metadata.finalizers,
            "claims": claims(bench).await?,
        }))
    }
}

/// From a store that was connected once to none: the next one finds the cluster free, or it could not connect.
pub(crate) struct Remove;

impl Scenario for Remove {
    fn name(&self) -> String {
        "a store goes".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        REMOVE
    }

    async fn prepare(&self, bench: &mut Bench, _run: usize) -> Result<()> {
        delete(bench).await?;
        gone(bench).await?;
        create(bench, "CONNECTED").await?;
        connection::connected(bench).await?;
        bench.tenant.want_connection(NAME, "DISCONNECTED").await?;
        bench.tenant.store_reaches(NAME, ConnectionState::Disconnected).await.map(|_| ())
    }

    async fn ask(&self, bench: &Bench, _run: usize) -> Result<()> {
        delete(bench).await
    }

    async fn finished(&self, bench: &Bench, _run: usize) -> Result<()> {
        gone(bench).await
    }

    async fn snapshot(&self, bench: &Bench, _run: usize) -> Result<Value> {
        claims(bench).await
    }
}
