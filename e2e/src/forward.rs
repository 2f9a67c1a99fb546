//! The HSMs of a real cluster, reached from outside through forwarded ports.

use anyhow::{Context, Result};
use operator_api::CloudHsmCluster;

use crate::cluster::Cluster;
use crate::hsm::Hsms;
use crate::process::Process;

/// Where an HSM serves its clients.
const KEY_PORT: u16 = 2223;

/// HSMs that can be reached while this value lives. A forwarded port ends with its pod.
#[derive(Debug)]
pub struct ReachedHsms {
    /// The HSMs at forwarded ports, in the order of the cluster's status.
    pub hsms: Hsms,
    _forwards: Vec<Process>,
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
