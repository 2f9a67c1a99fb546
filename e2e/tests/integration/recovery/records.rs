//! When a record is written, what is not in it, and what it keeps away.

use anyhow::{Context, Result, ensure};
use e2e::installation::{Installation, VAULT_NAMESPACE};
use e2e::quickstart::{self, NAME};
use e2e::recovery::{controllers_die_at, keystore_ok, start_controllers, stop_controllers};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};
use operator_api::kms_key::KeyState;

/// D5: what a status acknowledges is recorded, also when the leader dies between the two; and no record holds a secret.
#[tokio::test]
async fn a_key_is_recorded_before_it_is_enabled_and_an_alias_that_was_removed_stays_away() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let records: Api<ConfigMap> = Api::namespaced(installation.admin().await?, VAULT_NAMESPACE);
    for (moment, recorded) in [("before", false), ("lost-reply", true)] {
        let name = format!("crash-{moment}");
        stop_controllers(&mut installation);
        tenant.declare_key(&name, NAME).await?;
        let plan = format!("key.record:{moment}");
        controllers_die_at(&mut installation, &plan).await?;
        let map = format!("kmskey.{NAME}.{name}");
        let shown = tenant.keys().get(&name).await?.status.and_then(|status| status.key_state);
        ensure!(shown != Some(KeyState::Enabled), "Enabled without a record");
        ensure!(
            records.get_opt(&map).await?.is_some() == recorded,
            "{plan}: the record does not stand where it should"
        );
        stop_controllers(&mut installation);
        start_controllers(&mut installation).await?;
        tenant.key_reaches(&name, KeyState::Enabled).await.with_context(|| installation.last_words())?;
        records.get(&map).await.with_context(|| format!("no record {map} of an Enabled key"))?;
    }
    for map in records.list(&Default::default()).await? {
        let text = serde_json::to_string(&map.data)?.to_lowercase();
        for word in ["password", "private key", "secret-access", "share"] {
            ensure!(!text.contains(word), "{} speaks of a {word}", map.name_any());
        }
    }
    installation.kubectl(&["delete", "kmsalias", NAME, "--namespace", NAME, "--timeout=180s"])?;
    let left_out = keystore_ok(&installation, &["recover"])?;
    ensure!(left_out.contains("leave out") && left_out.contains("--removed"), "{left_out}");
    ensure!(installation.kubectl(&["get", "kmsalias", NAME, "--namespace", NAME]).is_err(), "the alias came back");
    Ok(())
}
