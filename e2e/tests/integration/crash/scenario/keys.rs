//! A key and its alias from nothing, with every HSM or with one away (P2), and the state of a key (INV-49).

use anyhow::{Context, Result};
use e2e::object;
use e2e::quickstart::NAME;
use hsm_client::Session;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use operator_api::kms_key::KeyState;
use operator_api::{KmsAlias, KmsKey};
use operator_controllers::effect::Site;
use serde_json::{Value, json};

use super::{Scenario, connection};
use crate::crash::bench::Bench;
use crate::crash::snapshot;

pub(crate) const CREATE: &[Site] = &[
    Site::Finalizer,
    Site::KeyIntent,
    Site::KeyGenerate,
    Site::KeyExtract,
    Site::KeyInsert,
    Site::KeyFingerprint,
    Site::KeyRecord,
    Site::KeyStatus,
    Site::AliasRecord,
    Site::AliasStatus,
];
pub(crate) const SWITCH: &[Site] = &[Site::KeyState, Site::KeyStatus];

/// A new key with an alias.
pub(crate) struct Create {
    hsms: usize,
}

impl Create {
    pub(crate) fn with_every_hsm() -> Self {
        Self { hsms: 3 }
    }

    /// D8: two HSMs in two zones are enough to create. The third stays away to the end.
    pub(crate) fn with_one_hsm_away() -> Self {
        Self { hsms: 2 }
    }

    fn key(&self, run: usize) -> String {
        format!("key-{}-{run}", self.hsms)
    }

    async fn sessions(&self, bench: &Bench) -> Result<Vec<Session>> {
        bench.hsms.first(self.hsms).officer_sessions().await
    }
}

impl Scenario for Create {
    fn name(&self) -> String {
        format!("a key with {} HSMs", self.hsms)
    }

    fn sites(&self) -> &'static [Site] {
        CREATE
    }

    async fn prepare(&self, bench: &mut Bench, run: usize) -> Result<()> {
        if run > 0 || self.hsms == 3 {
            return connection::in_state_connected(bench).await;
        }
        let pods = bench.installation.pods.names();
        bench.installation.pods.hold_down(pods.last().context("no pods")?);
        Ok(())
    }

    async fn ask(&self, bench: &Bench, run: usize) -> Result<()> {
        let name = self.key(run);
        bench.tenant.declare_key(&name, NAME).await?;
        let alias: KmsAlias = serde_json::from_value(json!({
            "apiVersion": "keystores.dev/v1alpha1", "kind": "KmsAlias", "metadata": { "name": name },
            "spec": { "aliasName": format!("alias/{name}"), "targetKeyRef": { "name": name } },
        }))?;
        aliases(bench).create(&PostParams::default(), &alias).await?;
        Ok(())
    }

    async fn finished(&self, bench: &Bench, run: usize) -> Result<()> {
        bench.tenant.key_reaches(&self.key(run), KeyState::Enabled).await?;
        object::says(&aliases(bench), &self.key(run), "Ready", "True").await.map(|_| ())
    }

    async fn snapshot(&self, bench: &Bench, run: usize) -> Result<Value> {
        let sessions = self.sessions(bench).await?;
        let alias = aliases(bench).get(&self.key(run)).await?.status.unwrap_or_default();
        let key = snapshot::key(bench, &self.key(run), &sessions).await?;
        let orphans = orphans(bench, &sessions).await?;
        Ok(json!({ "key": key, "alias": snapshot::conditions(&alias.conditions), "orphans": orphans }))
    }
}

/// How many keys each HSM holds beyond those that objects name (INV-20).
async fn orphans(bench: &Bench, sessions: &[Session]) -> Result<Vec<i64>> {
    let keys: Vec<KmsKey> = bench.tenant.keys().list(&Default::default()).await?.items;
    let named = i64::try_from(keys.iter().filter(|key| key.spec.material_fingerprint.is_some()).count())?;
    let mut beyond = Vec::new();
    for session in sessions {
        beyond.push(i64::try_from(session.hsm_info().await?.key_count)? - named);
    }
    Ok(beyond)
}

fn aliases(bench: &Bench) -> Api<KmsAlias> {
    Api::namespaced(bench.client.clone(), NAME)
}

/// Disabled and enabled in turn.
pub(crate) struct Switch;

impl Switch {
    async fn set(bench: &Bench, enabled: bool) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": { "enabled": enabled } }));
        bench.tenant.keys().patch(NAME, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

impl Scenario for Switch {
    fn name(&self) -> String {
        "a key's state".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        SWITCH
    }

    async fn prepare(&self, bench: &mut Bench, _run: usize) -> Result<()> {
        connection::in_state_connected(bench).await?;
        Self::set(bench, true).await?;
        bench.tenant.key_reaches(NAME, KeyState::Enabled).await.map(|_| ())
    }

    async fn ask(&self, bench: &Bench, _run: usize) -> Result<()> {
        Self::set(bench, false).await
    }

    async fn finished(&self, bench: &Bench, _run: usize) -> Result<()> {
        bench.tenant.key_reaches(NAME, KeyState::Disabled).await.map(|_| ())
    }

    async fn snapshot(&self, bench: &Bench, _run: usize) -> Result<Value> {
        let key = bench.tenant.keys().get(NAME).await?.name_any();
        snapshot::key(bench, &key, &bench.hsms.officer_sessions().await?).await
    }
}
