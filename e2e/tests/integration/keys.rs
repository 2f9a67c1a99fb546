//! The life of key objects: disabled on every HSM, refused without two zones, never remade, never lost with their object.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::hsm::{Hsms, id_of};
use e2e::installation::Installation;
use e2e::object;
use e2e::quickstart::{self, NAME};
use e2e::scenario::{PATIENCE, Tenant};
use e2e::wait::{Look, until};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use operator_api::KmsKey;
use operator_api::kms_key::KeyState;
use serde_json::{Value, json};

/// INV-49: a state is shown when the HSMs have it, also when it was declared while nobody led.
#[tokio::test]
async fn a_disabled_key_is_disabled_on_every_hsm_before_it_is_shown_so() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let key = tenant.keys().get(NAME).await?;
    assert_eq!(usable_on_each(&installation, &tenant, &key).await?, [true; 3]);
    for (enabled, shown) in [(false, KeyState::Disabled), (true, KeyState::Enabled)] {
        patch(&tenant, NAME, json!({ "spec": { "enabled": enabled } })).await?;
        tenant.key_reaches(NAME, shown).await?;
        assert_eq!(usable_on_each(&installation, &tenant, &key).await?, [enabled; 3]);
    }
    installation.controllers.clear();
    patch(&tenant, NAME, json!({ "spec": { "enabled": false } })).await?;
    installation.start_controllers(2, &[]).await?;
    tenant.key_reaches(NAME, KeyState::Disabled).await?;
    // The new leader may not have a session with each yet; those without get the state from their peers.
    until("every HSM to have the state", PATIENCE, || async {
        let seen = usable_on_each(&installation, &tenant, &key).await?;
        Ok(if seen == [false; 3] { Look::Done(()) } else { Look::NotYet(format!("{seen:?}")) })
    })
    .await
}

/// D8, SCN-17: no key with fewer than two zones; the one that was asked for is made when they are back.
#[tokio::test]
async fn with_one_hsm_left_no_key_is_made_and_it_is_made_when_the_others_are_back() -> Result<()> {
    let installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let pods = installation.pods.names();
    for pod in &pods[1..] {
        installation.pods.hold_down(pod);
    }
    tenant.declare_key("early", NAME).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let waiting = tenant.keys().get("early").await?;
    ensure!(waiting.status.and_then(|status| status.key_state).is_none(), "Enabled with one HSM");
    ensure!(waiting.spec.material_fingerprint.is_none(), "material with one HSM");
    for pod in &pods[1..] {
        installation.pods.release(pod);
    }
    tenant.key_reaches("early", KeyState::Enabled).await?;
    Ok(())
}

/// D2, D5, INV-12, INV-13.
#[tokio::test]
async fn deleting_a_key_object_is_refused_and_past_that_loses_no_material_and_makes_none_anew() -> Result<()> {
    let installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let old = tenant.keys().get(NAME).await?;
    let refused = tenant.keys().delete(NAME, &DeleteParams::default()).await;
    ensure!(refused.is_err(), "a key with material was deleted");

    let keys = tenant.keys();
    lose(&tenant, NAME).await?;
    tenant.declare_key(NAME, NAME).await?;
    object::says(&keys, NAME, "Ready", "MaterialExists").await?;
    keys.delete(NAME, &DeleteParams::default()).await?;
    object::gone(&keys, NAME).await?;
    let adopt = json!({ "customKeyStoreRef": { "name": NAME }, "keyId": old.spec.key_id });
    keys.create(&PostParams::default(), &manifest(NAME, &adopt)?).await?;
    let adopted = tenant.key_reaches(NAME, KeyState::Enabled).await?;
    assert_eq!(adopted.spec.material_fingerprint, old.spec.material_fingerprint);
    assert_eq!(adopted.status.and_then(|status| status.arn), old.status.clone().and_then(|status| status.arn));
    lose(&tenant, NAME).await?;
    whoever_holds_an_id_keeps_it(&installation, &tenant, &old).await?;

    let lost = json!({
        "customKeyStoreRef": { "name": NAME }, "keyId": "0a1b2c3d-0000-4000-8000-000000000000",
        "materialFingerprint": "ab".repeat(32),
    });
    keys.create(&PostParams::default(), &manifest("lost", &lost)?).await?;
    object::says(&keys, "lost", "MaterialLost", "NoHsmHasIt").await?;
    let shown = keys.get("lost").await?.status.and_then(|status| status.key_state);
    assert_ne!(shown, Some(KeyState::Enabled), "other material took its place");
    Ok(())
}

/// D2: `old` was lost and its id adopted under another name; then its manifest comes back, and would disable the key.
async fn whoever_holds_an_id_keeps_it(installation: &Installation, tenant: &Tenant, old: &KmsKey) -> Result<()> {
    let adopt = json!({ "customKeyStoreRef": { "name": NAME }, "keyId": old.spec.key_id });
    let again = json!({ "customKeyStoreRef": { "name": NAME }, "keyId": old.spec.key_id, "enabled": false });
    tenant.keys().create(&PostParams::default(), &manifest("adopter", &adopt)?).await?;
    tenant.key_reaches("adopter", KeyState::Enabled).await?;
    tenant.keys().create(&PostParams::default(), &manifest(NAME, &again)?).await?;
    object::says(&tenant.keys(), NAME, "Accepted", "IdInUse").await?;
    assert_eq!(usable_on_each(installation, tenant, old).await?, [true; 3]);
    tenant.key_reaches("adopter", KeyState::Enabled).await?;

    // Nor does it take over by itself when the other is gone: that is asked of whoever creates it.
    lose(tenant, "adopter").await?;
    patch(tenant, NAME, json!({ "spec": { "description": "looked at again" } })).await?;
    until("the refused key to say that the other is gone", PATIENCE, || async {
        let conditions = tenant.keys().get(NAME).await?.status.unwrap_or_default().conditions;
        let told = conditions.iter().any(|it| it.reason == "IdInUse" && it.message.contains("is gone"));
        Ok(if told { Look::Done(()) } else { Look::NotYet(format!("{conditions:?}")) })
    })
    .await?;
    assert_eq!(usable_on_each(installation, tenant, old).await?, [true; 3]);
    lose(tenant, NAME).await?;
    tenant.keys().create(&PostParams::default(), &manifest(NAME, &again)?).await?;
    tenant.key_reaches(NAME, KeyState::Disabled).await?;
    assert_eq!(usable_on_each(installation, tenant, old).await?, [false; 3]);
    Ok(())
}

/// The object goes, past the protection.
async fn lose(tenant: &Tenant, name: &str) -> Result<()> {
    object::delete_unprotected(&tenant.keys(), name).await?;
    object::gone(&tenant.keys(), name).await
}

/// Whether each HSM lets the key be used, once all three hold it.
async fn usable_on_each(installation: &Installation, tenant: &Tenant, key: &KmsKey) -> Result<Vec<bool>> {
    let cluster = tenant.clusters().get(NAME).await?;
    let hsms = Hsms::of(&installation.admin().await?, &cluster).await?;
    let records = hsms.records_of(id_of(key)?).await?;
    Ok(records.into_iter().map(|record| record.enabled).collect())
}

async fn patch(tenant: &Tenant, key: &str, change: Value) -> Result<()> {
    tenant.keys().patch(key, &PatchParams::default(), &Patch::Merge(change)).await?;
    Ok(())
}

fn manifest(name: &str, spec: &Value) -> Result<KmsKey> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "keystores.dev/v1alpha1", "kind": "KmsKey", "metadata": { "name": name }, "spec": spec,
    }))?)
}
