//! Pods of every part of the product that are killed or deleted under load. To kill a process needs the nodes as containers, so `make e2e`
//! runs this file on clusters of kind that it made, and says so where it does not.

use anyhow::{Result, ensure};
use e2e::cluster::Cluster;
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, SYSTEM_NAMESPACE};
use e2e::load::Load;
use e2e::nodes::PodProcess;
use e2e::process::Process;
use e2e::quickstart::NAME;
use e2e::scenario::PATIENCE;
use e2e::sdk::Retries;
use e2e::wait::{Look, until};
use operator_api::ConnectionState;

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// SIGKILL to its process, which the kubelet starts again.
    Killed,
    /// `kubectl delete pod`, with the time to end in order; another one takes its place.
    Deleted,
}

/// Where the pods are, what becomes of them, and the load meanwhile. Deleted HSMs are in `e2e_main_job`, which runs on any cluster.
const LOSSES: [(&str, Loss, usize, Retries); 5] = [
    (HSM_NAMESPACE, Loss::Killed, 1, Retries::USUAL),
    (SYSTEM_NAMESPACE, Loss::Killed, 1, Retries::USUAL),
    (SYSTEM_NAMESPACE, Loss::Deleted, 1, Retries::USUAL),
    (GATEWAY_NAMESPACE, Loss::Deleted, 2, Retries::USUAL),
    // As for a lost node: until Kubernetes notices, half of all new connections go to the dead one. Enough applications that some are
    // connected to it.
    (GATEWAY_NAMESPACE, Loss::Killed, 4, Retries::PATIENT),
];

/// INV-18, INV-09, INV-70: what was acknowledged is on the volumes, the peers serve meanwhile, and serving needs no controllers.
#[tokio::test]
async fn a_killed_process_or_a_deleted_pod_of_any_part_costs_an_application_nothing() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let caller = cluster.caller().await?;
    for (namespace, loss, applications, retries) in LOSSES {
        let load = Load::start(&caller, applications, retries).await?;
        for pod in victims(&cluster, namespace)? {
            if namespace == SYSTEM_NAMESPACE {
                lose_leader(&cluster, &pod, loss).await?;
            } else {
                lose(&cluster, namespace, &pod, loss).await?;
            }
            cluster.deployments_are_ready()?;
            tenant.cluster_is_active(NAME).await?;
            load.goes_on(50).await?;
        }
        println!("{namespace} {loss:?}: {:?}", load.end_unharmed(50)?);
    }
    tenant.store_reaches(NAME, ConnectionState::Connected).await.map(drop)
}

/// Every HSM in turn, the controllers' leader, one gateway.
fn victims(cluster: &Cluster, namespace: &str) -> Result<Vec<String>> {
    match namespace {
        HSM_NAMESPACE => cluster.hsm_pods(),
        SYSTEM_NAMESPACE => Ok(vec![cluster.leader()?]),
        other => {
            let path = "--output=jsonpath={.items[0].metadata.name}";
            Ok(vec![cluster.kubectl(&["get", "pods", "--namespace", other, path])?])
        }
    }
}

/// Returns when somebody else leads.
async fn lose_leader(cluster: &Cluster, pod: &str, loss: Loss) -> Result<()> {
    let (before, lease) = (cluster.lease_holder()?, cluster.watch_lease().await?);
    lose(cluster, SYSTEM_NAMESPACE, pod, loss).await?;
    is_succeeded(&lease, &before, loss).await
}

/// Returns when the process was started again, or the pod is gone.
async fn lose(cluster: &Cluster, namespace: &str, pod: &str, loss: Loss) -> Result<()> {
    match loss {
        Loss::Deleted => cluster.kubectl(&["delete", "pod", pod, "--namespace", namespace]).map(drop),
        Loss::Killed => {
            let starts = restarts(cluster, namespace, pod)?;
            PodProcess::of(cluster, namespace, pod)?.kill()?;
            until("the kubelet to start it again", PATIENCE, || async {
                let now = restarts(cluster, namespace, pod)?;
                Ok(if now == starts { Look::NotYet(now) } else { Look::Done(()) })
            })
            .await
        }
    }
}

fn restarts(cluster: &Cluster, namespace: &str, pod: &str) -> Result<String> {
    let path = "--output=jsonpath={.status.containerStatuses[0].restartCount}";
    cluster.kubectl(&["get", "pod", pod, "--namespace", namespace, path])
}

/// Waits until somebody else leads. A leader that is asked to go hands the Lease over, so that nobody waits until it runs out.
async fn is_succeeded(lease: &Process, before: &str, loss: Loss) -> Result<()> {
    let holders = until("another leader", PATIENCE, || async {
        let seen = std::fs::read_to_string(lease.log())?;
        // The last line may not be whole yet.
        let whole = seen.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let holders = whole.lines().filter_map(|line| line.strip_prefix("holder=")).map(str::to_owned);
        let holders: Vec<_> = holders.collect();
        let succeeded = holders.last().is_some_and(|last| !last.is_empty() && last != before);
        Ok(if succeeded { Look::Done(holders) } else { Look::NotYet(format!("{:?}", holders.last())) })
    })
    .await?;
    let released = holders.iter().any(String::is_empty);
    ensure!(released || loss == Loss::Killed, "the leader left its Lease to run out: {holders:?}");
    Ok(())
}
