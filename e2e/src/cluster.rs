//! A real cluster, given by a kubeconfig: the chart installed by Helm, the quickstart applied by kubectl.
//!
//! `make e2e` provides it (kind) or takes the user's own. Every test begins from the same ground, [`Cluster::ready`],
//! which repairs what an earlier test left behind, so tests may run in any order and alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Client;
use operator_api::ConnectionState;
use operator_api::kms_key::KeyState;
use serde_json::Value;

use crate::application;
use crate::binaries::{checkout, kubernetes};
use crate::control_plane::client_of;
use crate::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, RELEASE, SYSTEM_NAMESPACE};
use crate::kubectl::{self, kubectl};
use crate::process::Process;
use crate::quickstart::{ACCESS_KEY, NAME};
use crate::release::tag;
use crate::repair;
use crate::scenario::{PATIENCE, Tenant};
use crate::sdk::{Caller, Sdk};
use crate::wait::{Look, until};

/// A cluster with the product in it.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The cluster of `$KUBECONFIG`, with the chart installed and the quickstart connected and Enabled.
    ///
    /// # Errors
    /// When the cluster is not there or the quickstart does not come up; the message says which state was last seen.
    pub async fn ready() -> Result<(Self, Tenant)> {
        let kubeconfig = std::env::var_os("KUBECONFIG").context("KUBECONFIG is not set: run `make e2e`")?;
        let cluster = Self { kubeconfig: PathBuf::from(kubeconfig) };
        cluster.make_sure_it_is_installed()?;
        let tenant = Tenant::new(cluster.admin().await?, NAME);
        cluster.kubectl(&["apply", "-f", &checkout().join("deploy/quickstart").display().to_string()])?;
        cluster.every_hsm_runs_this_image().await?;
        tenant.cluster_is_active(NAME).await?;
        repair::store(&cluster, &tenant).await?;
        tenant.store_reaches(NAME, ConnectionState::Connected).await?;
        tenant.key_reaches(NAME, KeyState::Enabled).await?;
        Ok((cluster, tenant))
    }

    /// Waits until the HSM pods are those of this run: where an older image ran, the controllers replace one after the other, and a test that had
    /// begun would lose what it holds of them.
    async fn every_hsm_runs_this_image(&self) -> Result<()> {
        let tag = tag("E2E_HSM_TAG")?;
        let is_current = |pod: &Value| {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
            let is_ready = pod["status"]["containerStatuses"][0]["ready"] == true;
            is_ready && image.ends_with(&format!(":{tag}")) && pod["metadata"]["deletionTimestamp"].is_null()
        };
        until("every HSM pod to run the image of this run", PATIENCE, || async {
            let pods = self.list("pods", HSM_NAMESPACE)?;
            let older: Vec<_> =
                pods.iter().filter(|pod| !is_current(pod)).map(|pod| &pod["metadata"]["name"]).collect();
            Ok(if older.is_empty() { Look::Done(()) } else { Look::NotYet(format!("not yet: {older:?}")) })
        })
        .await
    }

    /// Gives the operator's image on every node a second tag, as if a new version had been pushed. Needs a kind cluster.
    ///
    /// # Errors
    /// When a node is no container of the Docker daemon or lacks the image.
    pub fn tag_image(&self, tag: &str, second: &str) -> Result<()> {
        let nodes = self.kubectl(&["get", "nodes", "--output=jsonpath={.items[*].metadata.name}"])?;
        let image = |tag: &str| format!("docker.io/library/keystore-operator:{tag}");
        for node in nodes.split_whitespace() {
            let order = ["exec", node, "ctr", "--namespace", "k8s.io", "images", "tag", "--force"];
            let output = Command::new("docker").args(order).args([image(tag), image(second)]).output()?;
            if !output.status.success() {
                bail!("no second tag on {node}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        Ok(())
    }

    /// A client with the kubeconfig's rights.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn admin(&self) -> Result<Client> {
        client_of(&self.kubeconfig).await
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl and returns what it prints.
    ///
    /// # Errors
    /// With its error output when it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl(&self.kubeconfig, arguments, None)
    }

    /// The objects of a kind in a namespace, as JSON.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn list(&self, kind: &str, namespace: &str) -> Result<Vec<Value>> {
        let listed = self.kubectl(&["get", kind, "--namespace", namespace, "--output=json"])?;
        let listed: Value = serde_json::from_str(&listed)?;
        Ok(listed["items"].as_array().cloned().unwrap_or_default())
    }

    /// Applies manifests.
    ///
    /// # Errors
    /// With the API server's words when it refuses one.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        kubectl::apply(&self.kubeconfig, manifests)
    }

    /// The quickstart's access key at the gateway's node port.
    ///
    /// # Errors
    /// When the key was not delivered.
    pub async fn caller(&self) -> Result<Caller> {
        let ca_bundle = std::env::temp_dir().join(format!("keystore-e2e-{}-ca.crt", std::process::id()));
        let endpoint = std::env::var("E2E_ENDPOINT").context("E2E_ENDPOINT is not set: run `make e2e`")?;
        application::caller(self.admin().await?, (NAME, ACCESS_KEY), endpoint, ca_bundle).await
    }

    /// A boto3 whose first DescribeKey was answered.
    ///
    /// # Errors
    /// When the gateway does not answer in time.
    pub async fn application(&self) -> Result<Sdk> {
        application::answered(&self.caller().await?).await
    }

    /// The quickstart's HSM pods, in order.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn hsm_pods(&self) -> Result<Vec<String>> {
        let names = self.kubectl(&[
            "get",
            "pods",
            "--namespace",
            HSM_NAMESPACE,
            "--selector=app.kubernetes.io/name=hsm-sim",
            "--output=name",
        ])?;
        Ok(names.lines().map(|name| name.trim_start_matches("pod/").to_owned()).collect())
    }

    /// Forwards a port of a pod to loopback for as long as the process lives.
    ///
    /// # Errors
    /// When kubectl does not say within a minute which port it took.
    pub async fn forward(&self, pod: &str, port: u16) -> Result<(Process, u16)> {
        let order = ["port-forward", "--namespace", HSM_NAMESPACE, &format!("pod/{pod}"), &format!(":{port}")];
        let local = |log: &str| log.split("127.0.0.1:").nth(1)?.split(' ').next()?.parse::<u16>().ok();
        self.background("kubectl port-forward", &format!("{pod}-{port}"), &order, local).await
    }

    /// The pod that leads the controllers, by their Lease.
    ///
    /// # Errors
    /// When nobody holds it.
    pub fn leader(&self) -> Result<String> {
        let holder = self.lease_holder()?;
        // A random part tells a pod's processes apart.
        let pod = holder.split('_').next().filter(|pod| !pod.is_empty());
        pod.map(str::to_owned).context("nobody holds the leader's lease")
    }

    /// Who holds the controllers' Lease: a pod, and which process of it. Empty when nobody does.
    ///
    /// # Errors
    /// When there is no Lease.
    pub fn lease_holder(&self) -> Result<String> {
        let path = "--output=jsonpath={.spec.holderIdentity}";
        self.kubectl(&["get", "lease", RELEASE, "--namespace", SYSTEM_NAMESPACE, path])
    }

    /// Logs the holder in every version of the controllers' Lease from now on, a line `holder=…` for each, while the process lives.
    ///
    /// # Errors
    /// When kubectl does not show a renewal within a minute.
    pub async fn watch_lease(&self) -> Result<Process> {
        let lines = "--output=jsonpath=holder={.spec.holderIdentity}{\"\\n\"}";
        let order = ["get", "lease", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--watch", lines];
        // kubectl reads the first one before it watches, and leaves out what it meets when the watch begins.
        let begun = |log: &str| (log.matches("holder=").count() > 1).then_some(());
        let (process, ()) = self.background("kubectl get --watch", "lease", &order, begun).await?;
        Ok(process)
    }

    /// Runs kubectl until the returned value is dropped, once `begun` finds in its log what shows that it works.
    async fn background<T>(
        &self,
        what: &str,
        log: &str,
        arguments: &[&str],
        begun: impl Fn(&str) -> Option<T>,
    ) -> Result<(Process, T)> {
        let log = std::env::temp_dir().join(format!("keystore-e2e-{}-{log}.log", std::process::id()));
        let _old = std::fs::remove_file(&log);
        let mut command = Command::new(kubernetes("kubectl")?);
        command.arg(format!("--kubeconfig={}", self.kubeconfig.display())).args(arguments);
        let process = Process::start(what, &mut command, &log)?;
        let found = until(what, Duration::from_secs(60), || async {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            Ok(begun(&text).map_or(Look::NotYet(text), Look::Done))
        })
        .await?;
        Ok((process, found))
    }

    /// Waits until every replica of the chart's Deployments is ready again.
    ///
    /// # Errors
    /// When kubectl's wait runs out.
    pub fn deployments_are_ready(&self) -> Result<()> {
        for (namespace, name) in [(SYSTEM_NAMESPACE, RELEASE), (GATEWAY_NAMESPACE, "keystore-gateway")] {
            let deployment = format!("deployment/{name}");
            self.kubectl(&["rollout", "status", &deployment, "--namespace", namespace, "--timeout=420s"])?;
        }
        Ok(())
    }
}
