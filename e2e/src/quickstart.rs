//! The objects of `deploy/quickstart/` on a bench: what a newcomer applies is what the tests begin with.

use anyhow::{Context, Result};
use operator_api::ConnectionState;
use operator_api::kms_key::KeyState;

use crate::application;
use crate::binaries::checkout;
use crate::installation::Installation;
use crate::scenario::Tenant;
use crate::sdk::Sdk;

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

/// Applies the quickstart and waits until its key is Enabled.
///
/// # Errors
/// When a state takes too long; the message holds the last status.
pub async fn ready(installation: &Installation) -> Result<Tenant> {
    installation.apply(&manifests()?)?;
    let tenant = Tenant::new(installation.admin().await?, NAME);
    tenant.cluster_is_active(NAME).await.with_context(|| installation.last_words())?;
    tenant.store_reaches(NAME, ConnectionState::Connected).await.with_context(|| installation.last_words())?;
    tenant.key_reaches(NAME, KeyState::Enabled).await.with_context(|| installation.last_words())?;
    Ok(tenant)
}

/// Starts the gateway and a boto3 that calls it with the quickstart's access key.
///
/// # Errors
/// When either does not start or the gateway does not know the key within a minute.
pub async fn application(installation: &mut Installation) -> Result<Sdk> {
    installation.start_gateway().await?;
    application::answered(&installation.caller(NAME, ACCESS_KEY).await?).await
}
