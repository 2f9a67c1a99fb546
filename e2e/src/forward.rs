//! The HSMs of a real cluster, reached from outside through forwarded ports.

use anyhow::{Context, Result};
use operator_api::CloudHsmCluster;

use crate::cluster::Cluster;
use crate::hsm::Hsms;
use crate::process::Process;
use crate::quickstart::{NAME, in_service};
use crate::scenario::{PATIENCE, Tenant};
use crate::wait::{Look, until};

/// Where an HSM serves its clients.
const KEY_PORT: u16 = 2223;

/// HSMs that can be reached while this value lives. A forwarded port ends with its pod.
#[derive(Debug)]
pub struct ReachedHsms {
    /// The HSMs at forwarded ports, in the order of the cluster's status.
    pub hsms: Hsms,
    _forwards: Vec<Process>,
}

impl ReachedHsms {
    /// Waits until each of them knows the present connection of the quickstart's store: two are enough for CONNECTED. One that does was logged
    /// in to since, and told whatever it had missed.
    ///
    /// # Errors
    /// When one does not in time.
    pub async fn every_one_serves(&self, cluster: &Cluster, tenant: &Tenant) -> Result<()> {
        let client = cluster.admin().await?;
        until("every HSM to be in service", PATIENCE, || async {
            let store = tenant.stores().get(NAME).await?;
            let served = in_service(&client, &store, &self.hsms).await;
            Ok(served.map_or_else(|error| Look::NotYet(format!("{error:#}")), |_| Look::Done(())))
        })
        .await
    }
}

/// Forwards the key port of every HSM of an ACTIVE cluster.
///
/// # Errors
/// When the cluster is not complete or kubectl cannot forward.
pub async fn reach(cluster: &Cluster, seen: &CloudHsmCluster) -> Result<ReachedHsms> {
    let mut hsms = Hsms::of(&cluster.admin().await?, seen).await?;
    let (mut forwards, mut addresses) = (Vec::new(), Vec::new());
    for hsm in &seen.status.as_ref().context("the cluster has no status")?.hsms {
        let (process, port) = cluster.forward(&hsm.pod_name, KEY_PORT).await?;
        forwards.push(process);
        addresses.push(([127, 0, 0, 1], port).into());
    }
    hsms.at(&addresses);
    Ok(ReachedHsms { hsms, _forwards: forwards })
}
