//! A key lives in HSMs and nowhere else (INV-54): looked for with the key itself in hand, in memory, Secrets, objects, logs and metrics.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use e2e::hsm::{Hsms, id_of};
use e2e::installation::{HSM_NAMESPACE, Installation};
use e2e::quickstart::{self, ALIAS, NAME};
use e2e::scenario::{PATIENCE, Tenant};
use e2e::sdk::bytes;
use e2e::sealed_store::{Owner, key_material};
use e2e::search::{Needles, files, memory};
use e2e::supervised::Supervised;
use e2e::wait::{Look, until};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use operator_api::kms_key::KeyState;
use operator_api::{CloudHsmCluster, ConnectionState, KmsKey};
use serde_json::json;
use zeroize::Zeroizing;

/// A process of the operator has more memory than this; less means that the search did not look.
const LEAST_MEMORY: u64 = 4 << 20;

/// INV-54, INV-56. The search is shown to work: it finds the key in the memory of this test, which holds it, and of the HSM.
#[tokio::test]
async fn key_material_is_in_hsms_and_nowhere_else() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut sdk = quickstart::application(&mut installation).await?;
    let encrypted = sdk.kms("encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(b"x") }))?.ok()?;
    sdk.kms("decrypt", &json!({ "CiphertextBlob": encrypted["CiphertextBlob"] }))?.ok()?;
    sdk.kms("generate_data_key", &json!({ "KeyId": ALIAS, "KeySpec": "AES_256" }))?.ok()?;

    let key = tenant.keys().get(NAME).await?;
    let material = ground_truth(&installation, &tenant, &key).await?;
    let needles = Needles::of(&material);
    the_search_finds_what_is_there(&installation, &needles)?;

    let processes = installation.controllers.values().filter_map(Supervised::id).collect::<Vec<_>>();
    for process in processes.into_iter().chain([installation.gateway()?.id()]) {
        let found = memory(process, &needles)?;
        ensure!(found.bytes > LEAST_MEMORY, "only {} bytes of process {process} were looked at", found.bytes);
        ensure!(found.places.is_empty(), "{:?}", found.places);
    }
    // etcd's files: every object, Secret and event there is or was. Beside them logs, mounted Secrets, and the HSMs' volumes.
    for folder in [installation.plane.folder(), installation.pods.folder()] {
        let found = files(folder, &needles)?;
        ensure!(found.places.is_empty(), "{:?}", found.places);
    }
    for (number, port) in [(1, 8080), (5, 8080), (11, 9090), (12, 9090), (13, 9090)] {
        let metrics = metrics(&format!("{}:{port}", installation.pods.address(number)))?;
        ensure!(metrics.contains("# TYPE"), "no metrics at {number}: {metrics}");
        ensure!(needles.found_in(metrics.as_bytes()).is_empty(), "the metrics of {number}");
    }
    Ok(())
}

/// The key's bytes, from a copy of a volume and the two shares; that they are the key its fingerprint in the object says.
async fn ground_truth(installation: &Installation, tenant: &Tenant, key: &KmsKey) -> Result<Zeroizing<Vec<u8>>> {
    let cluster = tenant.clusters().get(NAME).await?;
    let id = id_of(key)?;
    let pod = installation.pods.names().pop().context("no pods")?;
    let owner = owner(&cluster, &pod)?;
    let secrets: Api<Secret> = Api::namespaced(installation.admin().await?, HSM_NAMESPACE);
    let share = secrets.get(&format!("{}-sealing", owner.cluster_id)).await?;
    let share = share.data.and_then(|mut data| data.remove("share")).context("no sealing share")?;

    Hsms::of(&installation.admin().await?, &cluster).await?.records_of(id).await?;
    installation.pods.hold_down(&pod);
    let copy = tempfile::TempDir::with_prefix("keystore-volume-")?;
    let volume = installation.pods.volume(&pod).context("no volume")?.join("volume");
    for file in ["header", "store.redb"] {
        std::fs::copy(volume.join(file), copy.path().join(file))?;
    }
    installation.pods.release(&pod);
    let admin = format!("{}:9090", installation.pods.address(13));
    until("the HSM to be back", PATIENCE, || async {
        Ok(metrics(&admin).map_or_else(|error| Look::NotYet(format!("{error:#}")), |_| Look::Done(())))
    })
    .await?;
    let fingerprint = hex::decode(key.spec.material_fingerprint.as_deref().context("no fingerprint")?)?;
    let open = |share: &[u8]| key_material(copy.path(), share, &owner, id.0, &fingerprint);
    ensure!(open(&[0; 32]).is_err(), "the volume's own share opened it alone (INV-56)");
    open(&share.0)
}

fn owner(cluster: &CloudHsmCluster, pod: &str) -> Result<Owner> {
    let status = cluster.status.as_ref().context("no status")?;
    let hsm = status.hsms.iter().find(|hsm| hsm.pod_name == pod).context("no HSM in the pod")?;
    let lineage = cluster.spec.cluster_certificate_fingerprint.as_deref().context("no cluster certificate")?;
    let lineage = hex::decode(lineage)?.try_into().map_err(|_| anyhow::anyhow!("a fingerprint of another length"))?;
    let cluster_id = cluster.spec.cluster_id.clone().context("no cluster id")?;
    Ok(Owner { cluster_id, hsm_id: hsm.hsm_id.clone(), lineage })
}

/// Positive controls. An HSM forbids every other process to look at it, unless that is root's.
fn the_search_finds_what_is_there(installation: &Installation, needles: &Needles) -> Result<()> {
    ensure!(!memory(std::process::id(), needles)?.places.is_empty(), "not found where this test holds it");
    let pod = installation.pods.names().first().cloned().context("no pods")?;
    match memory(installation.pods.id(&pod).context("the HSM does not run")?, needles) {
        Ok(found) => ensure!(!found.places.is_empty(), "not found in {} bytes of an HSM", found.bytes),
        Err(refused) => ensure!(!rustix::process::geteuid().is_root(), "root was refused: {refused:#}"),
    }
    let literal = format!("--from-literal=canary={}", hex::encode(canary()));
    installation.kubectl(&["create", "secret", "generic", "canary", "--namespace", "default", &literal])?;
    let planted = files(installation.plane.folder(), &Needles::of(&canary()))?;
    ensure!(planted.places.iter().any(|place| place.contains("etcd")), "a Secret is not found in etcd: {planted:?}");
    Ok(())
}

/// Any 32 bytes that no program holds by itself.
fn canary() -> [u8; 32] {
    let mut byte = 0_u8;
    [(); 32].map(|()| {
        byte = byte.wrapping_add(37);
        byte ^ 0xa5
    })
}

fn metrics(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("no metrics at {address}"))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The same manifests are other keys: nothing of a key comes from its name, its owner or its declaration.
#[tokio::test]
async fn the_same_manifests_in_another_namespace_make_another_key() -> Result<()> {
    let installation = Installation::start().await?;
    let first = quickstart::ready(&installation).await?;
    let elsewhere = quickstart::manifests()?.replace("namespace: quickstart", "namespace: second");
    let elsewhere = elsewhere
        .replace("kind: Namespace\nmetadata:\n  name: quickstart", "kind: Namespace\nmetadata:\n  name: second");
    installation.apply(&elsewhere.replace("keystores.dev:quickstart:app", "keystores.dev:second:app"))?;
    let second = Tenant::new(installation.admin().await?, "second");
    second.cluster_is_active(NAME).await?;
    second.store_reaches(NAME, ConnectionState::Connected).await?;
    let there = second.key_reaches(NAME, KeyState::Enabled).await?;
    let here = first.keys().get(NAME).await?;
    assert_ne!(here.spec.key_id, there.spec.key_id);
    assert!(here.spec.material_fingerprint.is_some());
    assert_ne!(here.spec.material_fingerprint, there.spec.material_fingerprint);
    Ok(())
}

/// D8, SCN-17: with one HSM left CreateKey is refused and leaves nothing, in no HSM and in no object, also later.
#[tokio::test]
async fn with_two_hsms_stopped_create_key_is_refused_and_leaves_nothing() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut sdk = quickstart::application(&mut installation).await?;
    let store = tenant.stores().get(NAME).await?.spec.custom_key_store_id.context("no store id")?;
    let (objects, keys) = (objects(&tenant).await?, keys_on_each(&installation, &tenant).await?);
    let pods = installation.pods.names();
    for pod in &pods[1..] {
        installation.pods.hold_down(pod);
    }
    active_hsms(&tenant, 1).await?;
    let refused = sdk.kms("create_key", &json!({ "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store }))?;
    assert_eq!(refused.code(), "CloudHsmClusterInvalidConfigurationException", "{refused:?}");
    for pod in &pods[1..] {
        installation.pods.release(pod);
    }
    active_hsms(&tenant, 3).await?;
    tenant.declare_key("after", NAME).await?;
    tenant.key_reaches("after", KeyState::Enabled).await?;
    assert_eq!(objects.len() + 1, self::objects(&tenant).await?.len(), "the refused call left an object");
    let now = keys_on_each(&installation, &tenant).await?;
    assert_eq!(now, keys.iter().map(|count| count + 1).collect::<Vec<_>>(), "the refused call left material");
    Ok(())
}

async fn objects(tenant: &Tenant) -> Result<Vec<String>> {
    let keys = tenant.keys().list(&Default::default()).await?.items;
    Ok(keys.into_iter().filter_map(|key| key.metadata.name).collect())
}

async fn keys_on_each(installation: &Installation, tenant: &Tenant) -> Result<Vec<u64>> {
    let client = installation.admin().await?;
    until("the HSMs to agree", PATIENCE, || async {
        let cluster = tenant.cluster_is_active(NAME).await?;
        let mut counts = Vec::new();
        for session in Hsms::of(&client, &cluster).await?.sessions().await? {
            counts.push(session.hsm_info().await?.key_count);
        }
        let agree = counts.iter().all(|count| *count == counts[0]);
        Ok(if agree { Look::Done(counts) } else { Look::NotYet(format!("{counts:?}")) })
    })
    .await
}

async fn active_hsms(tenant: &Tenant, wanted: usize) -> Result<()> {
    let clusters = tenant.clusters();
    until(&format!("{wanted} active HSMs"), PATIENCE, || async {
        let hsms = clusters.get(NAME).await?.status.unwrap_or_default().hsms;
        let active = hsms.iter().filter(|hsm| serde_json::to_value(hsm.state).is_ok_and(|state| state == "ACTIVE"));
        Ok(if active.count() == wanted { Look::Done(()) } else { Look::NotYet(format!("{hsms:?}")) })
    })
    .await
}
