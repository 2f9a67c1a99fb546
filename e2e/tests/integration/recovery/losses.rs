//! Seven ways to lose everything, with what is told to whom in between.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::installation::Installation;
use e2e::object;
use e2e::quickstart::{self, ACCESS_KEY, NAME};
use e2e::recovery::{
    KINDS, delete_definitions, delete_namespace, delete_objects, finalize_namespace, keystore, keystore_ok,
    restore_definitions, start_controllers, stop_controllers, strip_finalizers,
};
use e2e::scenario::Tenant;

use crate::recovery::Bench;

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
            delete_objects(installation, &["kmsaliases", "kmskeys", "customkeystores", "cloudhsmclusters"]).await
        }
        Loss::ObjectsFromTheCluster => delete_objects(installation, &KINDS[..4]).await,
        Loss::Namespace => {
            delete_namespace(installation).await?;
            finalize_namespace(installation).await
        }
        Loss::NamespaceAndManifestsAppliedAnew => {
            delete_namespace(installation).await?;
            finalize_namespace(installation).await?;
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
            restore_definitions(installation).await?;
            restart(installation).await
        }
        Loss::FinalizersByHandWithoutControllers => {
            stop_controllers(installation);
            delete_namespace(installation).await?;
            let told = keystore(installation, &["recover"])?;
            ensure!(!told.status.success(), "a namespace that is going was not waited for");
            strip_finalizers(installation, &KINDS).await?;
            finalize_namespace(installation).await?;
            start_controllers(installation).await
        }
        Loss::ReleaseNamespaceAndDefinitions => {
            stop_controllers(installation);
            delete_namespace(installation).await?;
            strip_finalizers(installation, &KINDS).await?;
            finalize_namespace(installation).await?;
            delete_definitions(installation)?;
            restore_definitions(installation).await?;
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
    object::says(&clusters, NAME, "Accepted", "MaterialExists").await?;
    object::says(&keys, NAME, "Accepted", "MaterialExists").await?;
    ensure!(clusters.get(NAME).await?.spec.cluster_id.is_none(), "a new cluster was made");
    ensure!(keys.get(NAME).await?.spec.key_id.is_none(), "a new key was made");
    Ok(())
}

/// D5, INV-12, INV-13, INV-41, T-04.
#[tokio::test]
async fn whatever_is_lost_comes_back_with_its_ids_and_opens_old_ciphertext() -> Result<()> {
    let mut bench = Bench::unprotected().await?;
    for loss in LOSSES {
        let began = Instant::now();
        drill(&mut bench, loss).await.with_context(|| format!("{loss:?}"))?;
        println!("{loss:?}: back after {} s", began.elapsed().as_secs());
    }
    bench.one_key_on_every_hsm().await
}

async fn drill(bench: &mut Bench, loss: Loss) -> Result<()> {
    lose(&mut bench.installation, &bench.tenant, loss).await?;
    let shown = keystore_ok(&bench.installation, &["recover", "--dry-run"])?;
    ensure!(shown.contains("nothing was changed") && shown.contains("KmsKey"), "{shown}");
    let again = keystore_ok(&bench.installation, &["recover", "--dry-run"])?;
    ensure!(shown == again, "a dry run changed something: {again}");
    // One by one is on purpose: the alias, and the store that no key was in any more.
    bench.recover(matches!(loss, Loss::ObjectsFromTheAlias | Loss::ObjectsFromTheCluster))?;
    bench.is_back(&format!("{loss:?}")).await
}
