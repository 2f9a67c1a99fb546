//! Everything that stands for a key is lost, in every way and order there is, and comes back from the recovery records with the same ids and the
//! same material (D5, INV-12, INV-13, T-04).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::hsm::Hsms;
use e2e::identity::Identity;
use e2e::installation::{Installation, VAULT_NAMESPACE};
use e2e::quickstart::{self, ACCESS_KEY, ALIAS, NAME};
use e2e::recovery::{
    KINDS, break_the_glass, delete_definitions, delete_namespace, delete_objects, finalize_namespace, keystore,
    keystore_ok, restore_definitions, start_controllers, stop_controllers, strip_finalizers,
};
use e2e::scenario::{PATIENCE, Tenant, eventually_ok};
use e2e::sdk::{Answer, Sdk, bytes, bytes_of};
use e2e::wait::{Look, until};
use hsm_client::command::KeySearch;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};
use operator_api::ConnectionState;
use operator_api::kms_key::KeyState;
use serde_json::json;

/// The ways to lose everything. Each ends with nothing left of the tenant's objects.
#[derive(Debug, Clone, Copy)]
enum Loss {
    ObjectsFromTheAlias,
    ObjectsFromTheCluster,
    Namespace,
    NamespaceAndManifestsAppliedAnew,
    Definitions,
    FinalizersByHandWithoutControllers,
    ReleaseNamespaceAndDefinitions,
}

const LOSSES: [Loss; 7] = [
    Loss::ObjectsFromTheAlias,
    Loss::ObjectsFromTheCluster,
    Loss::Namespace,
    Loss::NamespaceAndManifestsAppliedAnew,
    Loss::Definitions,
    Loss::FinalizersByHandWithoutControllers,
    Loss::ReleaseNamespaceAndDefinitions,
];

async fn lose(installation: &mut Installation, tenant: &Tenant, loss: Loss) -> Result<()> {
    match loss {
        Loss::ObjectsFromTheAlias => {
            delete_objects(installation, &["kmsaliases", "kmskeys", "customkeystores", "cloudhsmclusters"])
        }
        Loss::ObjectsFromTheCluster => delete_objects(installation, &KINDS[..4]),
        Loss::Namespace => {
            delete_namespace(installation)?;
            finalize_namespace(installation)
        }
        Loss::NamespaceAndManifestsAppliedAnew => {
            delete_namespace(installation)?;
            finalize_namespace(installation)?;
            installation.apply(&quickstart::manifests()?)?;
            nothing_new_is_made_behind_an_old_name(tenant).await
        }
        Loss::Definitions => {
            delete_definitions(installation)?;
            let told = keystore(installation, &["recover"])?;
            ensure!(String::from_utf8_lossy(&told.stderr).contains("helm upgrade"), "no advice: {told:?}");
            // The access key was revoked with its object; a new one is not delivered over the old one's Secret.
            let stale = format!("{ACCESS_KEY}-credentials");
            installation.kubectl(&["delete", "secret", &stale, "--namespace", NAME])?;
            restore_definitions(installation)?;
            restart(installation).await
        }
        Loss::FinalizersByHandWithoutControllers => {
            stop_controllers(installation);
            delete_namespace(installation)?;
            let told = keystore(installation, &["recover"])?;
            ensure!(!told.status.success(), "a namespace that is going was not waited for");
            strip_finalizers(installation, &KINDS)?;
            finalize_namespace(installation)?;
            start_controllers(installation).await
        }
        Loss::ReleaseNamespaceAndDefinitions => {
            stop_controllers(installation);
            delete_namespace(installation)?;
            strip_finalizers(installation, &KINDS)?;
            finalize_namespace(installation)?;
            delete_definitions(installation)?;
            restore_definitions(installation)?;
            restart(installation).await
        }
    }
}

/// `kubectl rollout restart`: a watch that was opened while its definition was being made again may tell nothing until it ends.
async fn restart(installation: &mut Installation) -> Result<()> {
    stop_controllers(installation);
    start_controllers(installation).await?;
    installation.gateway()?.kill();
    installation.start_gateway().await
}

/// D2: a namespace that GitOps has rebuilt must wait for its old HSMs, not get new ones.
async fn nothing_new_is_made_behind_an_old_name(tenant: &Tenant) -> Result<()> {
    let (clusters, keys) = (tenant.clusters(), tenant.keys());
    until("the cluster to say that its material exists", PATIENCE, || async {
        let cluster = clusters.get(NAME).await?;
        let conditions = cluster.status.clone().unwrap_or_default().conditions;
        let told = conditions.iter().any(|it| it.type_ == "Accepted" && it.reason == "MaterialExists");
        ensure!(cluster.spec.cluster_id.is_none(), "a new cluster was made");
        Ok(if told { Look::Done(()) } else { Look::NotYet(format!("{conditions:?}")) })
    })
    .await?;
    until("the key to say that its material exists", PATIENCE, || async {
        let key = keys.get(NAME).await?;
        let conditions = key.status.clone().unwrap_or_default().conditions;
        let told = conditions.iter().any(|it| it.type_ == "Accepted" && it.reason == "MaterialExists");
        ensure!(key.spec.key_id.is_none(), "a new key was made");
        Ok(if told { Look::Done(()) } else { Look::NotYet(format!("{conditions:?}")) })
    })
    .await
}

/// D5, INV-12, INV-13, INV-41, T-04.
#[tokio::test]
async fn whatever_is_lost_comes_back_with_its_ids_and_opens_old_ciphertext() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut sdk = quickstart::application(&mut installation).await?;
    let encrypted = sdk.kms("encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(b"kept") }))?.ok()?;
    let blob = bytes_of(&encrypted, "CiphertextBlob")?;
    let before = Identity::of(&tenant).await.with_context(|| installation.last_words())?;
    break_the_glass(&installation).await?;
    for loss in LOSSES {
        let began = std::time::Instant::now();
        drill(&mut installation, &tenant, &before, &blob, loss).await.with_context(|| format!("{loss:?}"))?;
        println!("{loss:?}: back after {} s", began.elapsed().as_secs());
    }
    one_key_on_every_hsm(&installation, &tenant, &before).await
}

async fn drill(
    installation: &mut Installation,
    tenant: &Tenant,
    before: &Identity,
    blob: &[u8],
    loss: Loss,
) -> Result<()> {
    lose(installation, tenant, loss).await?;
    let shown = keystore_ok(installation, &["recover", "--dry-run"])?;
    ensure!(shown.contains("nothing was changed") && shown.contains("KmsKey"), "{shown}");
    let again = keystore_ok(installation, &["recover", "--dry-run"])?;
    ensure!(shown == again, "a dry run changed something: {again}");
    let removed: &[&str] = match loss {
        // One by one is on purpose: the alias, and the store that no key was in any more.
        Loss::ObjectsFromTheAlias | Loss::ObjectsFromTheCluster => &["recover", "--removed"],
        _ => &["recover"],
    };
    println!("{}", keystore_ok(installation, removed)?);
    // Roles and access keys are the tenant's manifests; what came back fits them, also where they have changed since.
    let changed = quickstart::manifests()?.replace("First key of the quickstart", &format!("Key after {loss:?}"));
    installation.apply(&changed)?;
    tenant.store_reaches(NAME, ConnectionState::Connected).await.with_context(|| installation.last_words())?;
    assert_eq!(Identity::of(tenant).await.with_context(|| installation.last_words())?, *before);
    let mut sdk = Sdk::start(&installation.caller(NAME, ACCESS_KEY).await?)?;
    // The gateway's watches were refused while there were no definitions, and come back with growing pauses.
    let opened = until("old ciphertext to open", PATIENCE, || {
        let answer = sdk.kms("decrypt", &json!({ "CiphertextBlob": bytes(blob) }));
        async {
            Ok(match answer? {
                Answer::Ok(opened) => Look::Done(opened),
                refused => Look::NotYet(format!("{refused:?}")),
            })
        }
    })
    .await?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"kept");
    eventually_ok(&mut sdk, "encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(b"new") })).await?;
    let nothing = keystore_ok(installation, &["recover"])?;
    ensure!(nothing.contains("nothing to bring back"), "{nothing}");
    Ok(())
}

/// INV-19: not a second key anywhere, after everything.
async fn one_key_on_every_hsm(installation: &Installation, tenant: &Tenant, before: &Identity) -> Result<()> {
    let cluster = tenant.cluster_is_active(NAME).await?;
    for session in Hsms::of(&installation.admin().await?, &cluster).await?.officer_sessions().await? {
        let search = KeySearch { namespace: NAME.to_owned(), name: NAME.to_owned(), after: None, limit: 10 };
        let found = session.find_keys(&search).await?.keys;
        let prints: Vec<_> = found.iter().map(|record| Some(hex::encode(record.fingerprint))).collect();
        ensure!(prints == [before.fingerprint.clone()], "{}: {prints:?}", session.identity().hsm_id);
    }
    Ok(())
}

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
        installation.free_lease().await?;
        installation.start_controllers(2, &[("KEYSTORE_CRASH_AT", &plan)]).await?;
        until("the leader to die", Duration::from_secs(60), || {
            let ended = installation.controllers.get_mut(&2).map(e2e::process::Process::ended);
            let died = matches!(ended, Some(Ok(Some(_))));
            async move { Ok(if died { Look::Done(()) } else { Look::NotYet("it runs".to_owned()) }) }
        })
        .await?;
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
    installation.kubectl(&["delete", "kmsalias", NAME, "--namespace", NAME, "--timeout=60s"])?;
    let left_out = keystore_ok(&installation, &["recover"])?;
    ensure!(left_out.contains("leave out") && left_out.contains("--removed"), "{left_out}");
    ensure!(installation.kubectl(&["get", "kmsalias", NAME, "--namespace", NAME]).is_err(), "the alias came back");
    Ok(())
}
