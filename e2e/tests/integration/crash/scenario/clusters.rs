//! A cluster from its manifest to ACTIVE: authorities, volumes that become HSMs, the one initialisation, users, members (D6, D18, INV-08).
//!
//! Each plan needs a cluster of its own, and so three HSM processes of its own. So the leader dies at the first passage of each effect only, and at
//! one moment of it: when it is done and nobody knows. All that it leaves is what is done: before an effect that is what the one before it left,
//! and nothing else of the initialisation is remembered.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use e2e::crash::MOMENTS;
use e2e::hsm::Hsms;
use e2e::installation::{HSM_NAMESPACE, VAULT_NAMESPACE};
use e2e::object;
use e2e::pods::ZONES;
use e2e::quickstart::NAME;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use operator_api::labels::{CLUSTER_ID, TENANT_NAME};
use operator_controllers::effect::Site;
use serde_json::{Value, json};

use super::Scenario;
use crate::crash::bench::Bench;
use crate::crash::snapshot;

pub(crate) const INITIALIZE: &[Site] = &[
    Site::ClusterId,
    Site::ClusterOperatorAuthority,
    Site::ClusterPodCertificates,
    Site::ClusterSealingShare,
    Site::ClusterAssign,
    Site::ClusterCustomerAuthority,
    Site::ClusterOfficer,
    Site::ClusterIntent,
    Site::ClusterInitialize,
    Site::ClusterCertificate,
    Site::ClusterControllersClient,
    Site::ClusterActivate,
    Site::ClusterRing,
    Site::ClusterKmsUser,
    Site::ClusterRoster,
    Site::ClusterJoin,
];

/// The cluster's Secrets and what is in each, without its id.
async fn secrets(bench: &Bench, id: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let labelled = ListParams::default().labels(&format!("{CLUSTER_ID}={id}"));
    let mut found = BTreeMap::new();
    for namespace in [HSM_NAMESPACE, VAULT_NAMESPACE] {
        let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), namespace);
        for secret in secrets.list(&labelled).await?.items {
            let entries = secret.data.iter().flatten().map(|(entry, _)| entry.replace(id, "")).collect();
            found.insert(secret.name_any().replace(id, ""), entries);
        }
    }
    Ok(found)
}

/// From a new object to three active HSMs.
pub(crate) struct Initialize;

impl Initialize {
    fn cluster(run: usize) -> String {
        format!("cluster-{run}")
    }
}

impl Scenario for Initialize {
    fn name(&self) -> String {
        "a cluster is initialised".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        INITIALIZE
    }

    fn moments(&self) -> &'static [&'static str] {
        &MOMENTS[1..2]
    }

    fn every_passage(&self) -> bool {
        false
    }

    /// The cluster before this one goes, with its processes: addresses and processors are few.
    async fn prepare(&self, bench: &mut Bench, run: usize) -> Result<()> {
        let Some(former) = run.checked_sub(1).map(Self::cluster) else { return Ok(()) };
        let clusters = bench.tenant.clusters();
        let id = clusters.get(&former).await?.spec.cluster_id.context("no cluster id")?;
        object::delete_unprotected(&clusters, &former).await?;
        object::gone(&clusters, &former).await?;
        let sets: Api<StatefulSet> = Api::namespaced(bench.client.clone(), HSM_NAMESPACE);
        object::delete_unprotected(&sets, &id).await?;
        let pods = &bench.installation.pods;
        pods.names().iter().filter(|pod| pod.starts_with(&id)).for_each(|pod| pods.hold_down(pod));
        Ok(())
    }

    async fn ask(&self, bench: &Bench, run: usize) -> Result<()> {
        let (name, zones) = (Self::cluster(run), ZONES.join(", "));
        bench.installation.apply(&format!(
            "apiVersion: keystores.dev/v1alpha1
kind: CloudHsmCluster
metadata: {{name: {name}, namespace: {NAME}}}
spec: {{availabilityZones: [{zones}], recovery: {{waived: true}}}}
"
        ))
    }

    async fn finished(&self, bench: &Bench, run: usize) -> Result<()> {
        bench.tenant.cluster_is_active(&Self::cluster(run)).await.map(|_| ())
    }

    async fn snapshot(&self, bench: &Bench, run: usize) -> Result<Value> {
        let name = Self::cluster(run);
        let cluster = bench.tenant.clusters().get(&name).await?;
        // Every certificate and every identity is checked by this, and the officer's password on each HSM by the next.
        let hsms = Hsms::of(&bench.client, &cluster).await?;
        hsms.officer_sessions().await?;
        let ring = snapshot::ring(&bench.client, &hsms).await?;
        let sets: Api<StatefulSet> = Api::namespaced(bench.client.clone(), HSM_NAMESPACE);
        let sets = sets.list(&ListParams::default().labels(&format!("{TENANT_NAME}={name}"))).await?.items;
        let (spec, status) = (cluster.spec, cluster.status.context("no status")?);
        let chosen = spec.initialization_intent.context("no intent")?.hsm_id;
        let chosen = status.hsms.iter().find(|hsm| hsm.hsm_id == chosen).map(|hsm| &hsm.availability_zone);
        Ok(json!({
            "state": status.state, "conditions": snapshot::conditions(&status.conditions),
            "hsms": status.hsms.iter().map(|hsm| json!([hsm.availability_zone, hsm.state])).collect::<Vec<_>>(),
            "ids": status.hsms.iter().map(|hsm| &hsm.hsm_id).collect::<BTreeSet<_>>().len(),
            "initialised in": chosen, "certificate": spec.cluster_certificate_fingerprint.is_some(),
            "users": snapshot::users(&hsms, &ring).await?, "stateful sets": sets.len(),
            "secrets": secrets(bench, hsms.cluster_id()).await?,
        }))
    }
}
