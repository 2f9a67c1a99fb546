//! What an owner recovers from with kubectl and the officer's tools: a lost volume, a locked-out `kmsuser`.
//!
//! Run by `make e2e`, on any cluster, one test at a time.

use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use e2e::forward::reach;
use e2e::hsm::id_of;
use e2e::installation::HSM_NAMESPACE;
use e2e::load::Load;
use e2e::officer;
use e2e::quickstart::{ALIAS, NAME};
use e2e::scenario::{PATIENCE, Tenant, eventually_ok};
use e2e::sdk::{Retries, bytes, bytes_of};
use e2e::wait::{Look, until};
use hsm_client::{HsmError, KMS_USER, ReturnCode, Session};
use operator_api::ConnectionErrorCode;
use operator_api::kms_key::KeyState;
use serde_json::json;

/// INV-08, HSM-43: an empty HSM is filled by its peers, never believed.
#[tokio::test]
async fn a_zone_that_loses_pod_and_volume_is_refilled_with_the_same_key_and_nobody_notices() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let expected = tenant.keys().get(NAME).await?.spec.material_fingerprint.context("no fingerprint")?;
    let pod = cluster.hsm_pods()?.pop().context("no HSM pods")?;
    let lost = hsm_of(&tenant, &pod).await?.with_context(|| format!("the status does not name {pod}"))?;
    let load = Load::start(&cluster.caller().await?, 1, Retries::USUAL).await?;
    destroy_volume(&cluster, &pod)?;

    let found = until("an HSM with a new id in the place of the lost one", PATIENCE, || async {
        let found = hsm_of(&tenant, &pod).await?;
        Ok(found.filter(|found| *found != lost).map_or(Look::NotYet("not there yet".to_owned()), Look::Done))
    })
    .await?;
    let reached = reach(&cluster, &tenant.cluster_is_active(NAME).await?).await?;
    anyhow::ensure!(reached.hsms.endpoints().iter().any(|hsm| hsm.hsm_id == found), "the new HSM is absent");
    for record in reached.hsms.records_of(id_of(&tenant.keys().get(NAME).await?)?).await? {
        assert_eq!(hex::encode(record.fingerprint), expected, "the very material, not a new key");
    }
    load.goes_on(50).await?;
    println!("while a zone was refilled: {:?}", load.end_unharmed(100)?);
    Ok(())
}

/// The HSM in a pod; none while an empty one is not a member yet.
async fn hsm_of(tenant: &Tenant, pod: &str) -> Result<Option<String>> {
    let status = tenant.clusters().get(NAME).await?.status.context("no status")?;
    Ok(status.hsms.into_iter().find(|hsm| hsm.pod_name == pod).map(|hsm| hsm.hsm_id))
}

/// Deletes claim and pod, and with them the volume, which the operator had set to be kept (D19).
fn destroy_volume(cluster: &Cluster, pod: &str) -> Result<()> {
    let inside = ["--namespace", HSM_NAMESPACE];
    let path = "--output=jsonpath={.spec.volumes[*].persistentVolumeClaim.claimName}";
    let claim = cluster.kubectl(&[["get", "pod", pod, path].as_slice(), &inside].concat())?;
    let path = "--output=jsonpath={.spec.volumeName}";
    let volume = cluster.kubectl(&[["get", "pvc", &claim, path].as_slice(), &inside].concat())?;
    let refused = cluster.kubectl(&[["delete", "pvc", &claim, "--wait=false"].as_slice(), &inside].concat());
    let refusal = refused.err().context("the claim could be deleted without a word")?.to_string();
    anyhow::ensure!(refusal.contains("key material"), "refused for another reason: {refusal}");
    cluster.kubectl(&[["annotate", "pvc", &claim, "keystores.dev/unprotect=true"].as_slice(), &inside].concat())?;
    cluster.kubectl(&[["delete", "pvc", &claim, "--wait=false"].as_slice(), &inside].concat())?;
    cluster.kubectl(&[["delete", "pod", pod].as_slice(), &inside].concat())?;
    cluster.kubectl(&["annotate", "pv", &volume, "keystores.dev/unprotect=true"])?;
    let delete = r#"--patch={"spec":{"persistentVolumeReclaimPolicy":"Delete"}}"#;
    cluster.kubectl(&["patch", "pv", &volume, delete]).map(drop)
}

/// SCN-3, HSM-42, T-10, CKS-43.
#[tokio::test]
async fn five_wrong_passwords_lock_the_store_out_of_its_next_connect_until_an_officer_sets_a_new_one() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let mut sdk = cluster.application().await?;
    let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(b"before the lockout") });
    let blob = sdk.kms("encrypt", &request)?.ok()?["CiphertextBlob"].clone();
    let reached = reach(&cluster, &tenant.cluster_is_active(NAME).await?).await?;
    lock_out(&reached.hsms.sessions().await?[0]).await?;
    sdk.kms("encrypt", &request)?.ok().context("a connected store goes on while its user is locked (T-10)")?;

    tenant.disconnect(NAME).await?;
    tenant.want_connection(NAME, "CONNECTED").await?;
    assert_eq!(tenant.store_fails(NAME).await?, ConnectionErrorCode::UserLockedOut);
    tenant.disconnect(NAME).await?;

    let temporary = officer::cure(&cluster, &tenant, NAME).await?;
    tenant.connect(NAME).await?;
    tenant.key_reaches(NAME, KeyState::Enabled).await?;
    let opened = eventually_ok(&mut sdk, "decrypt", &json!({ "CiphertextBlob": blob })).await?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"before the lockout");
    reached.every_one_serves(&cluster, &tenant).await?;
    for session in reached.hsms.sessions().await? {
        let refused = session.login(KMS_USER, temporary.expose()).await;
        assert_eq!(refused, Err(HsmError::Refused(ReturnCode::LoginFailure)), "CKS-43: rotated by the connect");
    }
    tenant.patch_store(NAME, json!({ "spec": { "keyStorePasswordSecretRef": null } })).await?;
    // A login resets the failure that was just counted on each HSM (HSM-44).
    tenant.disconnect(NAME).await?;
    tenant.connect(NAME).await?;
    cluster.kubectl(&["delete", "secret", officer::SECRET, "--namespace", NAME]).map(drop)
}

/// INV-61: on one HSM, by somebody who guesses. An earlier guess since the last login counts as well.
async fn lock_out(session: &Session) -> Result<()> {
    let user = async || Ok::<_, anyhow::Error>(session.user_info(KMS_USER).await?.context("no kmsuser")?);
    for failures in user().await?.failures..5 {
        let refused = session.login(KMS_USER, "wrong0password").await;
        assert_eq!(refused, Err(HsmError::Refused(ReturnCode::LoginFailure)), "after {failures} failures");
    }
    anyhow::ensure!(user().await?.locked, "five failures did not lock the user");
    Ok(())
}
