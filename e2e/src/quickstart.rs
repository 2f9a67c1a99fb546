//! The objects of `deploy/quickstart/` on a bench: what a newcomer applies is what the tests begin with.

use anyhow::{Context, Result};
use kube::Client;
use operator_api::kms_key::KeyState;
use operator_api::{CloudHsmCluster, ConnectionState, CustomKeyStore};

use crate::application;
use crate::binaries::checkout;
use crate::hsm::Hsms;
use crate::installation::Installation;
use crate::scenario::{PATIENCE, Tenant};
use crate::sdk::Sdk;
use crate::wait::{Look, until};

/// The namespace, and the name of its cluster, store and key.
pub const NAME: &str = "quickstart";
/// The alias of its key.
pub const ALIAS: &str = "alias/quickstart";
/// Its access key.
pub const ACCESS_KEY: &str = "app";

/// The manifests in the order of their files.
///
/// # Errors
/// When the folder cannot be read.
pub fn manifests() -> Result<String> {
    let mut files: Vec<_> = std::fs::read_dir(checkout().join("deploy/quickstart"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let texts: Result<Vec<String>, _> = files.iter().map(std::fs::read_to_string).collect();
    Ok(texts.context("failed to read the quickstart")?.join("\n---\n"))
}

/// Applies the quickstart and waits until its key is Enabled and every HSM is in service.
///
/// # Errors
/// When a state takes too long; the message holds the last status.
pub async fn ready(installation: &Installation) -> Result<Tenant> {
    installation.apply(&manifests()?)?;
    let tenant = Tenant::new(installation.admin().await?, NAME);
    tenant.cluster_is_active(NAME).await.with_context(|| installation.last_words())?;
    tenant.store_reaches(NAME, ConnectionState::Connected).await.with_context(|| installation.last_words())?;
    tenant.key_reaches(NAME, KeyState::Enabled).await.with_context(|| installation.last_words())?;
    every_hsm_serves(installation, &tenant).await?;
    Ok(tenant)
}

/// Waits until every HSM knows the store's present connection: two are enough for CONNECTED. One that does was logged in to since, and told
/// whatever it had missed.
///
/// # Errors
/// When one does not in time.
pub async fn every_hsm_serves(installation: &Installation, tenant: &Tenant) -> Result<()> {
    let client = installation.admin().await?;
    until("every HSM to be in service", PATIENCE, || async {
        let (store, cluster) = (tenant.stores().get(NAME).await?, tenant.clusters().get(NAME).await?);
        Ok(match serve(&client, &store, &cluster).await {
            Ok(count) if count == cluster.spec.availability_zones.len() => Look::Done(()),
            Ok(count) => Look::NotYet(format!("{count} HSMs")),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
    })
    .await
    .with_context(|| installation.last_words())
}

async fn serve(client: &Client, store: &CustomKeyStore, cluster: &CloudHsmCluster) -> Result<usize> {
    in_service(client, store, &Hsms::of(client, cluster).await?).await
}

/// How many HSMs these are, if all of them open the store's present connection to the gateway.
///
/// # Errors
/// When one does not, or cannot be reached.
pub async fn in_service(client: &Client, store: &CustomKeyStore, hsms: &Hsms) -> Result<usize> {
    let id = store.spec.custom_key_store_id.as_deref().context("no store id")?;
    let generation = store.status.as_ref().and_then(|status| status.connection_generation).context("no generation")?;
    let sessions = hsms.as_the_gateway(client).await?.sessions().await?;
    for session in &sessions {
        let opened = session.open_delegation(id, u64::try_from(generation)?).await;
        opened.with_context(|| session.identity().hsm_id.clone())?;
    }
    Ok(sessions.len())
}

/// Starts the gateway and a boto3 that calls it with the quickstart's access key.
///
/// # Errors
/// When either does not start or the gateway does not know the key in time.
pub async fn application(installation: &mut Installation) -> Result<Sdk> {
    installation.start_gateway().await?;
    application::answered(&installation.caller(NAME, ACCESS_KEY).await?).await
}
