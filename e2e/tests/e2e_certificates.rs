//! Certificates over several lifetimes on a cluster, as the chart sets them, under load.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use e2e::load::Load;
use e2e::quickstart::NAME;
use e2e::renewals::Legs;
use e2e::sdk::Retries;

/// A lifetime of a minute, in which a certificate is renewed after 20 seconds.
const SHORT: [&str; 2] = ["lifetime=60s", "renewBefore=40s"];
/// Renewals of each leg that must be seen.
const RENEWALS: usize = 3;
const PROVISIONING_PORT: u16 = 2224;

/// The values that make all certificates short-lived, as in `helm --set`.
fn short_lived() -> String {
    let kinds = ["gatewayServing", "hsmClients", "hsmPods"];
    kinds.map(|kind| SHORT.map(|field| format!("certificates.{kind}.{field}")).join(",")).join(",")
}

/// Capability 3, on a cluster: serving and client certificates are made and renewed without a manual step, and no request notices.
#[tokio::test]
async fn every_certificate_is_renewed_again_and_again_on_a_cluster_and_no_request_fails() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let caller = cluster.caller().await?;
    drop(cluster.application().await?);
    let load = Load::start(&caller, 1, Retries::USUAL).await?;
    cluster.upgrade(&short_lived())?;

    let seen = tenant.clusters().get(NAME).await?;
    let id = seen.spec.cluster_id.context("no cluster id")?;
    let hsm = seen.status.context("no status")?.hsms.remove(0);
    let (_forwarded, port) = cluster.forward(&hsm.pod_name, PROVISIONING_PORT).await?;
    let https = caller.endpoint.trim_start_matches("https://");
    let mut legs = Legs::of(&cluster.admin().await?, &id, https, &format!("127.0.0.1:{port}"));
    legs.until_renewed(RENEWALS, Duration::from_secs(300)).await?;
    let renewals = legs.renewals();
    cluster.rollback()?;
    load.goes_on(50).await?;
    println!("{renewals:?} renewals: {:?}", load.end_unharmed(200)?);
    Ok(())
}
