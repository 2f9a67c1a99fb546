//! What is lost from the vault and put back: `kmsuser`'s ring by the process that remembers it (P1), a cluster's recovery record by any (D5).

use anyhow::{Context, Result};
use e2e::crash::MOMENTS;
use e2e::installation::VAULT_NAMESPACE;
use e2e::object::delete_unprotected;
use e2e::quickstart::NAME;
use e2e::scenario::PATIENCE;
use e2e::wait::{Look, until};
use hsm_client::KMS_USER;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use operator_api::RecordedKind;
use operator_controllers::effect::Site;
use serde_json::{Value, json};

use super::{Scenario, connection};
use crate::crash::bench::Bench;
use crate::crash::snapshot;

pub(crate) const RING: &[Site] = &[Site::RingRestore];
pub(crate) const RECORD: &[Site] = &[Site::ClusterRecord];

/// Waits until a leader is logged in as `kmsuser` on every HSM, or on none. The owner asks, because an HSM counts only the sessions of other
/// certificates.
async fn leader_is_logged_in(bench: &Bench, wanted: bool) -> Result<()> {
    let mut owners = bench.hsms.clone();
    owners.become_owner(&bench.client).await?;
    let sessions = owners.sessions().await?;
    until(&format!("kmsuser to be logged in everywhere: {wanted}"), PATIENCE, || async {
        let mut seen = Vec::new();
        for session in &sessions {
            seen.push(session.user_info(KMS_USER).await?.context("no kmsuser")?.foreign_sessions > 0);
        }
        Ok(if seen.iter().all(|one| *one == wanted) { Look::Done(()) } else { Look::NotYet(format!("{seen:?}")) })
    })
    .await
}

/// The ring of a connected store, deleted under a leader that has read it.
pub(crate) struct Ring;

impl Ring {
    fn secret(bench: &Bench) -> (Api<Secret>, String) {
        let secrets = Api::namespaced(bench.client.clone(), VAULT_NAMESPACE);
        (secrets, format!("{}-kmsuser", bench.hsms.cluster_id()))
    }
}

impl Scenario for Ring {
    fn name(&self) -> String {
        "a ring is put back".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        RING
    }

    fn moments(&self) -> &'static [&'static str] {
        // A leader that dies before has taken the last copy along: another end (P1, last row). `rotation.rs` plays it to the cure from
        // the state that is left, no Secret and a leader that never saw it.
        &MOMENTS[1..]
    }

    async fn prepare(&self, bench: &mut Bench, _run: usize) -> Result<()> {
        connection::in_state_connected(bench).await?;
        connection::connected(bench).await
    }

    async fn ask(&self, bench: &Bench, _run: usize) -> Result<()> {
        leader_is_logged_in(bench, false).await
    }

    async fn meanwhile(&self, bench: &Bench, run: usize) -> Result<()> {
        // It reads the ring before it logs in with what it finds there.
        leader_is_logged_in(bench, true).await?;
        let (secrets, name) = Self::secret(bench);
        delete_unprotected(&secrets, &name).await?;
        // Nobody watches the Secret. A store that was changed is looked after, and its ring with it.
        bench.tenant.patch_store(NAME, json!({ "spec": { "name": format!("renamed-{run}") } })).await
    }

    async fn finished(&self, bench: &Bench, _run: usize) -> Result<()> {
        let (secrets, name) = Self::secret(bench);
        let stores = bench.tenant.stores();
        until("the store to have been looked after and the ring to be back", PATIENCE, || async {
            let store = stores.get(NAME).await?;
            let looked = store.status.and_then(|status| status.observed_generation) == store.metadata.generation;
            let back = secrets.get_opt(&name).await?.is_some();
            Ok(if looked && back { Look::Done(()) } else { Look::NotYet(format!("looked: {looked}, back: {back}")) })
        })
        .await?;
        connection::connected(bench).await
    }

    async fn snapshot(&self, bench: &Bench, _run: usize) -> Result<Value> {
        snapshot::connection(bench).await
    }
}

/// The record of a cluster, deleted while nobody leads: the first thing that a leader does for the cluster is to write it.
pub(crate) struct Record;

impl Record {
    fn config_map(bench: &Bench) -> (Api<ConfigMap>, String) {
        let maps = Api::namespaced(bench.client.clone(), VAULT_NAMESPACE);
        (maps, RecordedKind::CloudHsmCluster.config_map(NAME, NAME))
    }
}

impl Scenario for Record {
    fn name(&self) -> String {
        "a cluster is recorded".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        RECORD
    }

    async fn prepare(&self, _bench: &mut Bench, _run: usize) -> Result<()> {
        Ok(())
    }

    async fn ask(&self, bench: &Bench, _run: usize) -> Result<()> {
        let (maps, name) = Self::config_map(bench);
        delete_unprotected(&maps, &name).await
    }

    async fn finished(&self, bench: &Bench, _run: usize) -> Result<()> {
        let (maps, name) = Self::config_map(bench);
        until("the record to be there", PATIENCE, || async {
            Ok(maps.get_opt(&name).await?.map_or(Look::NotYet("it is not".to_owned()), |_| Look::Done(())))
        })
        .await
    }

    async fn snapshot(&self, bench: &Bench, _run: usize) -> Result<Value> {
        // The whole text: the object is the same in every run.
        let (maps, name) = Self::config_map(bench);
        Ok(json!(maps.get(&name).await?.data))
    }
}
