//! Upgrade and rollback of the release under load: replicas go one after the other, and no request of an application fails.

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use e2e::installation::GATEWAY_NAMESPACE;
use e2e::quickstart::{ALIAS, NAME};
use e2e::sdk::{Retries, Sdk, Seen};
use operator_api::ConnectionState;

/// Longer than any of the changes takes on a machine of two cores.
const LOAD: u32 = 120;

fn load(cluster_caller: &e2e::sdk::Caller) -> JoinHandle<Result<Seen>> {
    let caller = cluster_caller.clone();
    std::thread::spawn(move || Sdk::start(&caller)?.traffic(ALIAS, LOAD, Retries::USUAL))
}

fn gateway_pods(cluster: &Cluster) -> Result<Vec<String>> {
    let names = cluster.kubectl(&["get", "pods", "--namespace", GATEWAY_NAMESPACE, "--output=name"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// Capability 5: a new image tag, another log level and one replica more; then all of it taken back.
#[tokio::test]
async fn an_upgrade_and_its_rollback_under_load_fail_no_request_and_keep_the_store_connected() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let tag = std::env::var("E2E_OPERATOR_TAG").context("E2E_OPERATOR_TAG is not set: run `make e2e`")?;
    let next = format!("{tag}-next");
    cluster.tag_image(&tag, &next)?;
    let caller = cluster.caller().await?;
    drop(cluster.application().await?);
    let generation = tenant.stores().get(NAME).await?.status.and_then(|status| status.connection_generation);
    let before = gateway_pods(&cluster)?;

    let running = load(&caller);
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.upgrade(&format!("image.tag={next},logLevel=debug,gateway.replicas=3"))?;
    let upgraded = gateway_pods(&cluster)?;
    cluster.rollback()?;
    let rolled_back = gateway_pods(&cluster)?;
    let result = running.join().map_err(|_| anyhow::anyhow!("the load broke"))??;

    assert!(upgraded.len() >= 3 && before.iter().all(|pod| !upgraded.contains(pod)), "{before:?} {upgraded:?}");
    assert!(upgraded.iter().all(|pod| !rolled_back.contains(pod)), "{upgraded:?} {rolled_back:?}");
    assert_eq!((result.wrong, result.failed), (0, 0), "{result:?}");
    assert!(result.calls > 500, "too little traffic to mean anything: {result:?}");
    let store = tenant.store_reaches(NAME, ConnectionState::Connected).await?;
    assert_eq!(
        store.status.and_then(|status| status.connection_generation),
        generation,
        "the store was connected anew"
    );
    println!("traffic during upgrade and rollback: {result:?}");
    Ok(())
}
