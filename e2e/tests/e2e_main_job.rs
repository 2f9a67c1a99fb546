//! The main job on a real cluster: Helm install, three zones, stock AWS clients, a lost pod, uninstall and reinstall.
//!
//! Run by `make e2e`, one test at a time: they share one cluster and one set of HSMs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use e2e::forward::reach;
use e2e::hsm::{count_of, id_of};
use e2e::installation::HSM_NAMESPACE;
use e2e::load::Load;
use e2e::quickstart::{ALIAS, NAME};
use e2e::scenario::{PATIENCE, eventually_ok, password_secret};
use e2e::sdk::{Retries, Sdk, bytes, bytes_of, cli};
use e2e::wait::{Look, until};
use operator_api::kms_key::KeyState;
use operator_api::{ConnectionErrorCode, ConnectionState};
use serde_json::{Value, json};

/// An HSM that takes longer over a request makes the gateway ask another one, and then both count it.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How often requests are counted before the machine is called too busy for it.
const MOST_PASSES: u32 = 5;

/// D18, D19, D8.
#[tokio::test]
async fn the_quickstart_runs_three_hsms_on_three_workers_in_three_zones_with_three_volumes() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let pods = cluster.list("pods", HSM_NAMESPACE)?;
    assert_eq!(pods.len(), 3);
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|pod| pod["spec"]["nodeName"].as_str()).collect();
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    let mut zones = BTreeSet::new();
    for node in &nodes {
        let path = "--output=jsonpath={.metadata.labels.topology\\.kubernetes\\.io/zone}";
        zones.insert(cluster.kubectl(&["get", "node", node, path])?);
    }
    let status = tenant.cluster_is_active(NAME).await?.status.context("no status")?;
    let reported: BTreeSet<String> = status.hsms.iter().map(|hsm| hsm.availability_zone.clone()).collect();
    assert_eq!(zones, reported, "the status names the zones of the nodes");
    assert_eq!(zones.len(), 3);
    let claims: BTreeSet<String> = pods.iter().map(|pod| pod["spec"]["volumes"].to_string()).collect();
    let names: BTreeSet<String> = pods
        .iter()
        .flat_map(|pod| pod["spec"]["volumes"].as_array().cloned().unwrap_or_default())
        .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(names.len(), 3, "{claims:?}");
    for pod in &pods {
        assert!(!pod["spec"]["hostNetwork"].as_bool().unwrap_or_default());
        assert!(!pod["spec"]["volumes"].to_string().contains("hostPath"), "{}", pod["spec"]["volumes"]);
    }
    let mut volumes = BTreeSet::new();
    for claim in &names {
        let path = "--output=jsonpath={.spec.volumeName}";
        let volume = cluster.kubectl(&["get", "pvc", claim, "--namespace", HSM_NAMESPACE, path])?;
        let policy =
            cluster.kubectl(&["get", "pv", &volume, "--output=jsonpath={.spec.persistentVolumeReclaimPolicy}"])?;
        assert_eq!(policy, "Retain", "D19: {volume}");
        volumes.insert(volume);
    }
    assert_eq!(volumes.len(), 3, "D8, each HSM with a volume of its own: {volumes:?}");
    Ok(())
}

/// KEY-40, KEY-42: unmodified tools, over HTTPS.
#[tokio::test]
async fn boto3_and_the_aws_cli_encrypt_and_decrypt_and_a_wrong_context_is_refused() -> Result<()> {
    let (cluster, _) = Cluster::ready().await?;
    let mut sdk = cluster.application().await?;
    let context = json!({ "tenant": "a" });
    let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(b"from boto3"), "EncryptionContext": context });
    let blob = sdk.kms("encrypt", &request)?.ok()?["CiphertextBlob"].clone();
    let opened = sdk.kms("decrypt", &json!({ "CiphertextBlob": blob, "EncryptionContext": context }))?.ok()?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"from boto3");
    let wrong = json!({ "CiphertextBlob": blob, "EncryptionContext": { "tenant": "b" } });
    assert_eq!(sdk.kms("decrypt", &wrong)?.code(), "InvalidCiphertextException");

    let caller = cluster.caller().await?;
    let folder = std::env::temp_dir().join(format!("keystore-e2e-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (plain, sealed) = (folder.join("plain"), folder.join("sealed"));
    std::fs::write(&plain, b"from the command line")?;
    let file = |path: &std::path::Path| format!("fileb://{}", path.display());
    let encrypted = cli(&caller, &["kms", "encrypt", "--key-id", ALIAS, "--plaintext", &file(&plain)])?;
    let decode = |value: &Value| bytes_of(&json!({ "x": { "$bytes": value } }), "x");
    std::fs::write(&sealed, decode(&encrypted["CiphertextBlob"])?)?;
    let opened = cli(&caller, &["kms", "decrypt", "--ciphertext-blob", &file(&sealed)])?;
    assert_eq!(decode(&opened["Plaintext"])?, b"from the command line");
    let refused =
        cli(&caller, &["kms", "decrypt", "--ciphertext-blob", &file(&sealed), "--encryption-context", "tenant=b"]);
    assert!(refused.expect_err("decrypted").to_string().contains("InvalidCiphertextException"));
    Ok(())
}

/// INV-01: read back from each HSM, over its own nested TLS connection; and the work is done there, not elsewhere.
#[tokio::test]
async fn every_hsm_holds_the_key_and_their_counters_rise_by_exactly_the_requests_sent() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let seen = tenant.cluster_is_active(NAME).await?;
    let key = tenant.keys().get(NAME).await?;
    let reached = reach(&cluster, &seen).await?;
    let sessions = reached.hsms.officer_sessions().await?;
    for record in reached.hsms.records_of(id_of(&key)?).await? {
        assert_eq!(Some(hex::encode(record.fingerprint)), key.spec.material_fingerprint);
    }
    let identities: BTreeSet<_> = sessions.iter().map(|session| &session.identity().hsm_id).collect();
    assert_eq!(identities.len(), 3);

    let mut sdk = cluster.application().await?;
    let counted = async || -> Result<u64> {
        let mut sum = 0;
        for session in &sessions {
            for command in [hsm_protocol::Command::Encrypt, hsm_protocol::Command::Decrypt] {
                sum += count_of(session, command).await?.succeeded;
            }
        }
        Ok(sum)
    };
    for _ in 0..MOST_PASSES {
        let before = counted().await?;
        let slowest = encrypt_and_decrypt(&mut sdk, 20)?;
        if slowest < ATTEMPT {
            assert_eq!(counted().await? - before, 40);
            return Ok(());
        }
        println!("disturbed: a pair of requests took {slowest:?}");
        // What was asked twice may be counted late.
        tokio::time::sleep(2 * ATTEMPT).await;
    }
    anyhow::bail!("in each of {MOST_PASSES} passes a pair of requests took longer than {ATTEMPT:?}")
}

/// Some pairs of requests, and how long the slowest pair took.
fn encrypt_and_decrypt(sdk: &mut Sdk, pairs: u8) -> Result<Duration> {
    let mut slowest = Duration::ZERO;
    for number in 0..pairs {
        let begun = Instant::now();
        let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(&[number]) });
        let blob = sdk.kms("encrypt", &request)?.ok()?["CiphertextBlob"].clone();
        let opened = sdk.kms("decrypt", &json!({ "CiphertextBlob": blob }))?.ok()?;
        assert_eq!(bytes_of(&opened, "Plaintext")?, [number]);
        slowest = slowest.max(begun.elapsed());
    }
    Ok(slowest)
}

/// INV-18, D12: an application with the SDK's own retries notices nothing of one lost pod.
#[tokio::test]
async fn a_deleted_hsm_pod_costs_an_application_nothing() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let pods = cluster.hsm_pods()?;
    let load = Load::start(&cluster.caller().await?, 1, Retries::USUAL).await?;
    cluster.kubectl(&["delete", "pod", &pods[0], "--namespace", HSM_NAMESPACE])?;
    tenant.cluster_is_active(NAME).await?;
    load.goes_on(50).await?;
    println!("while a pod was deleted: {:?}", load.end_unharmed(100)?);
    Ok(())
}

/// SCN-1, CKS-60, CKS-90.
#[tokio::test]
async fn disconnect_makes_the_key_unavailable_and_reconnect_heals() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let mut sdk = cluster.application().await?;
    let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(b"before") });
    let blob = sdk.kms("encrypt", &request)?.ok()?["CiphertextBlob"].clone();
    tenant.disconnect(NAME).await?;
    tenant.key_reaches(NAME, KeyState::Unavailable).await?;
    assert_eq!(sdk.kms("encrypt", &request)?.code(), "KMSInvalidStateException");
    tenant.connect(NAME).await?;
    tenant.key_reaches(NAME, KeyState::Enabled).await?;
    let opened = eventually_ok(&mut sdk, "decrypt", &json!({ "CiphertextBlob": blob })).await?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"before");
    Ok(())
}

/// SCN-2 as a person sees it.
#[tokio::test]
async fn a_wrong_password_shows_in_kubectl_get_with_its_code() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    tenant.disconnect(NAME).await?;
    cluster.apply(&password_secret(NAME, "wrong-password", "wrong0password"))?;
    tenant.supply_password(NAME, "wrong-password").await?;
    tenant.want_connection(NAME, "CONNECTED").await?;
    assert_eq!(tenant.store_fails(NAME).await?, ConnectionErrorCode::InvalidCredentials);
    let table = cluster.kubectl(&["get", "cks", "--namespace", NAME])?;
    let row = table.lines().nth(1).unwrap_or_default();
    assert!(row.contains("FAILED") && row.contains("INVALID_CREDENTIALS"), "{table}");

    tenant.patch_store(NAME, json!({ "spec": { "keyStorePasswordSecretRef": null } })).await?;
    tenant.disconnect(NAME).await?;
    tenant.connect(NAME).await
}

/// INV-12: a release is not what holds the keys.
#[tokio::test]
async fn uninstall_and_reinstall_keep_old_ciphertext_readable() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let mut sdk = cluster.application().await?;
    let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(b"older than the release") });
    let blob = sdk.kms("encrypt", &request)?.ok()?["CiphertextBlob"].clone();
    let fingerprint = tenant.keys().get(NAME).await?.spec.material_fingerprint;
    drop(sdk);
    cluster.uninstall()?;
    until("the controllers to be gone", PATIENCE, || async {
        let pods = cluster.kubectl(&["get", "pods", "--namespace", "keystore-system", "--output=name"])?;
        Ok(if pods.trim().is_empty() { Look::Done(()) } else { Look::NotYet(pods) })
    })
    .await?;
    let (cluster, tenant) = Cluster::ready().await?;
    assert_eq!(tenant.keys().get(NAME).await?.spec.material_fingerprint, fingerprint);
    tenant.store_reaches(NAME, ConnectionState::Connected).await?;
    let mut sdk = cluster.application().await?;
    let opened = eventually_ok(&mut sdk, "decrypt", &json!({ "CiphertextBlob": blob })).await?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"older than the release");
    Ok(())
}
