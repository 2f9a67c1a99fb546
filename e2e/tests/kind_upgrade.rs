//! Upgrade and rollback of the release under load: replicas go one after the other, and no request of an application fails.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::cluster::Cluster;
use e2e::installation::GATEWAY_NAMESPACE;
use e2e::load::Load;
use e2e::quickstart::NAME;
use e2e::sdk::Retries;
use e2e::wait::{Look, until};
use operator_api::ConnectionState;

fn gateway_pods(cluster: &Cluster) -> Result<Vec<String>> {
    let names = cluster.kubectl(&["get", "pods", "--namespace", GATEWAY_NAMESPACE, "--output=name"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// How many the Deployment asks for.
fn replicas(cluster: &Cluster) -> Result<usize> {
    let path = "--output=jsonpath={.spec.replicas}";
    let count = cluster.kubectl(&["get", "deployment/keystore-gateway", "--namespace", GATEWAY_NAMESPACE, path])?;
    count.parse().with_context(|| format!("no number of replicas: {count}"))
}

/// Waits until every one of these pods, and whatever came and went meanwhile, has drained and gone, which Helm does not wait for; returns those
/// there are then. A Deployment that grows makes one more of the old template first.
async fn replaced(cluster: &Cluster, old: &[String]) -> Result<Vec<String>> {
    until("the replaced replicas to go", Duration::from_secs(300), || async {
        let (present, wanted) = (gateway_pods(cluster)?, replicas(cluster)?);
        let left: Vec<_> = old.iter().filter(|pod| present.contains(pod)).collect();
        Ok(if left.is_empty() && present.len() == wanted {
            Look::Done(present)
        } else {
            Look::NotYet(format!("{left:?} are still there, of {present:?}; {wanted} are wanted"))
        })
    })
    .await
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
    let (before, replicas_before) = (gateway_pods(&cluster)?, replicas(&cluster)?);

    let load = Load::start(&caller, 2, Retries::USUAL).await?;
    cluster.upgrade(&format!("image.tag={next},logLevel=debug,gateway.replicas=3"))?;
    let upgraded = replaced(&cluster, &before).await?;
    load.goes_on(100).await?;
    cluster.rollback()?;
    let rolled_back = replaced(&cluster, &upgraded).await?;
    load.goes_on(100).await?;
    let seen = load.end_unharmed(500)?;

    assert_eq!((upgraded.len(), rolled_back.len()), (3, replicas_before), "{upgraded:?} {rolled_back:?}");
    let store = tenant.store_reaches(NAME, ConnectionState::Connected).await?;
    assert_eq!(
        store.status.and_then(|status| status.connection_generation),
        generation,
        "the store was connected anew"
    );
    println!("traffic during upgrade and rollback: {seen:?}");
    Ok(())
}
