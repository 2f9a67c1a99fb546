//! Everything that stands for a key is lost on a real cluster, with its namespace controller, garbage collector and Helm, and comes back from
//! the recovery records (D5, INV-12, INV-13). Six orders, each with other things alive while others go; `integration/recovery` plays all 24, without
//! Helm and with a namespace controller of its own.

use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use e2e::identity::Identity;
use e2e::installation::{GATEWAY_NAMESPACE, SYSTEM_NAMESPACE};
use e2e::quickstart::{self, ACCESS_KEY, ALIAS, NAME};
use e2e::recovery::{
    KINDS, break_the_glass, delete_definitions, delete_objects, keystore_ok, mark_definitions, strip_finalizers,
};
use e2e::scenario::{Tenant, eventually_ok};
use e2e::sdk::{bytes, bytes_of};
use operator_api::ConnectionState;
use serde_json::json;

/// What is lost, in this order.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Objects,
    Namespace,
    Definitions,
    ReleaseFinalizersNamespaceAndDefinitions,
    /// The controllers let go of everything, and run on without anything to look after.
    DefinitionsNamespaceAndRelease,
    /// Everything hangs at once: nobody lets go, and finalizers are taken off last.
    ReleaseDefinitionsNamespaceAndFinalizers,
}

const LOSSES: [Loss; 6] = [
    Loss::Objects,
    Loss::Namespace,
    Loss::Definitions,
    Loss::ReleaseFinalizersNamespaceAndDefinitions,
    Loss::DefinitionsNamespaceAndRelease,
    Loss::ReleaseDefinitionsNamespaceAndFinalizers,
];

async fn lose(cluster: &Cluster, loss: Loss) -> Result<()> {
    match loss {
        Loss::Objects => {
            delete_objects(cluster, &["kmsaliases", "kmskeys", "customkeystores", "cloudhsmclusters"]).await
        }
        Loss::Namespace => delete_namespace(cluster),
        Loss::Definitions => {
            delete_definitions(cluster)?;
            // The access key was revoked with its object; a new one is not delivered over the old one's Secret.
            let stale = format!("{ACCESS_KEY}-credentials");
            cluster.kubectl(&["delete", "secret", &stale, "--namespace", NAME, "--ignore-not-found"])?;
            cluster.install()?;
            for (namespace, name) in [(SYSTEM_NAMESPACE, "keystore-operator"), (GATEWAY_NAMESPACE, "keystore-gateway")]
            {
                cluster.kubectl(&["rollout", "restart", &format!("deployment/{name}"), "--namespace", namespace])?;
            }
            cluster.deployments_are_ready()
        }
        Loss::ReleaseFinalizersNamespaceAndDefinitions => {
            cluster.uninstall()?;
            delete_namespace_by_hand(cluster).await?;
            delete_definitions(cluster)?;
            cluster.install()
        }
        Loss::DefinitionsNamespaceAndRelease => {
            delete_definitions(cluster)?;
            delete_namespace(cluster)?;
            cluster.uninstall()?;
            cluster.install()
        }
        Loss::ReleaseDefinitionsNamespaceAndFinalizers => {
            cluster.uninstall()?;
            mark_definitions(cluster)?;
            delete_namespace_by_hand(cluster).await?;
            delete_definitions(cluster)?;
            cluster.install()
        }
    }
}

fn delete_namespace(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["delete", "namespace", NAME, "--timeout=300s"]).map(drop)
}

/// With nobody left who would take the finalizers off.
async fn delete_namespace_by_hand(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["delete", "namespace", NAME, "--wait=false"])?;
    strip_finalizers(cluster, &KINDS).await?;
    cluster.kubectl(&["wait", "--for=delete", &format!("namespace/{NAME}"), "--timeout=300s"]).map(drop)
}

/// The quickstart works as before, with the same ids and the same material.
async fn is_back(cluster: &Cluster, tenant: &Tenant, before: &Identity, blob: &[u8]) -> Result<()> {
    // Roles and access keys are the tenant's manifests.
    cluster.apply(&quickstart::manifests()?)?;
    tenant.store_reaches(NAME, ConnectionState::Connected).await?;
    assert_eq!(Identity::of(tenant).await?, *before);
    let mut sdk = cluster.application().await?;
    let opened = eventually_ok(&mut sdk, "decrypt", &json!({ "CiphertextBlob": bytes(blob) })).await?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"older than the loss");
    eventually_ok(&mut sdk, "encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(b"new") })).await.map(drop)
}

/// D5, INV-12, INV-13, T-04.
#[tokio::test]
async fn whatever_is_lost_on_a_cluster_comes_back_with_its_ids_and_opens_old_ciphertext() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(b"older than the loss") });
    let blob = bytes_of(&cluster.application().await?.kms("encrypt", &request)?.ok()?, "CiphertextBlob")?;
    let before = Identity::of(&tenant).await?;
    for loss in LOSSES {
        let begun = std::time::Instant::now();
        break_the_glass(&cluster).await?;
        lose(&cluster, loss).await.with_context(|| format!("{loss:?}"))?;
        let removed = matches!(loss, Loss::Objects).then_some("--removed");
        let told = keystore_ok(&cluster, &["recover"].into_iter().chain(removed).collect::<Vec<_>>())?;
        is_back(&cluster, &tenant, &before, &blob).await.with_context(|| format!("after {loss:?}\n{told}"))?;
        println!("{loss:?}: back after {} s", begun.elapsed().as_secs());
    }
    // The protection that was taken away comes back with the release.
    cluster.install()
}
