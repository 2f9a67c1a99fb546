//! The operator as the chart installs it: the chart's objects on the API server, its Deployments as local processes.
//!
//! Each process gets the arguments, environment and Secret mounts of the rendered Deployment and the token of its own
//! ServiceAccount, so a missing RBAC rule or a wrong flag fails here as it would in a cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PodSpec, Secret};
use kube::api::DeleteParams;
use kube::{Api, Client};

use crate::application;
use crate::binaries::ours;
use crate::chart::{apply_chart, deployments_of};
use crate::control_plane::ControlPlane;
use crate::crash;
use crate::kubectl::{apply, kubectl};
use crate::pods::{Pods, mounts, template};
use crate::process::Process;
use crate::scenario::PATIENCE;
use crate::sdk::Caller;
use crate::supervised::Supervised;
use crate::wait::{Look, until};

/// The chart's name and the release name of the bench.
pub const RELEASE: &str = "keystore-operator";
/// Where the controllers run.
pub const SYSTEM_NAMESPACE: &str = "keystore-system";
/// Where the gateway runs.
pub const GATEWAY_NAMESPACE: &str = "keystore-gateway";
/// Where the HSM pods run.
pub const HSM_NAMESPACE: &str = "keystore-hsm";
/// Where the operator keeps what only it may read.
pub const VAULT_NAMESPACE: &str = "keystore-vault";

/// One installation on one control plane.
#[derive(Debug)]
pub struct Installation {
    /// The HSM pods.
    pub pods: Pods,
    /// The controllers' processes by number; the test may kill and restart them.
    pub controllers: BTreeMap<u8, Supervised>,
    gateway: Option<Process>,
    deployments: BTreeMap<String, PodSpec>,
    /// The API server it runs against.
    pub plane: ControlPlane,
}

/// SIGKILL: who is asked to go would first finish what it was doing, with HSMs that are gone already.
impl Drop for Installation {
    fn drop(&mut self) {
        self.kill_controllers();
        if let Some(gateway) = &mut self.gateway {
            gateway.kill();
        }
    }
}

impl Installation {
    /// Starts a control plane, applies the chart, and runs one replica of the controllers.
    ///
    /// # Errors
    /// When a program is missing or the chart is refused.
    pub async fn start() -> Result<Self> {
        let mut installation = Self::without_controllers().await?;
        installation.start_controllers(1, &[]).await?;
        Ok(installation)
    }

    /// The same with no controllers yet.
    ///
    /// # Errors
    /// As [`Installation::start`].
    pub async fn without_controllers() -> Result<Self> {
        let plane = ControlPlane::start().await?;
        let rendered = apply_chart(&plane.admin_kubeconfig()).await?;
        let pods = Pods::run(plane.admin().await?, HSM_NAMESPACE).await?;
        let deployments = deployments_of(&rendered)?;
        Ok(Self { pods, controllers: BTreeMap::new(), gateway: None, deployments, plane })
    }

    /// A client with the rights of a cluster administrator.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn admin(&self) -> Result<Client> {
        self.plane.admin().await
    }

    /// Starts replica `number` (1 to 4) of the controllers with additional environment variables.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_controllers(&mut self, number: u8, environment: &[(&str, &str)]) -> Result<()> {
        let name = format!("controllers-{number}");
        // Leaders that are to crash at a named effect are another program: the product has no such switch.
        let crashes = environment.iter().any(|(name, _)| [crash::VARIABLE, crash::TRACE].contains(name));
        let program = ours(if crashes { "controllers-that-crash" } else { "keystore-operator" })?;
        let mut command = self.command(&program, RELEASE, SYSTEM_NAMESPACE, &name, number).await?;
        command.envs(environment.iter().copied());
        let log = self.log(&name);
        let replica = if crashes {
            Supervised::once(&name, &mut command, &log)?
        } else {
            Supervised::start(&name, command, &log)?
        };
        self.controllers.insert(number, replica);
        Ok(())
    }

    /// SIGKILL to every replica of the controllers, and waits until they are gone.
    pub fn kill_controllers(&mut self) {
        self.controllers.values_mut().for_each(Supervised::kill);
        self.controllers.clear();
    }

    /// Frees the lease of a leader that is dead for certain, so that nobody waits until it runs out.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn free_lease(&self) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.admin().await?, SYSTEM_NAMESPACE);
        match leases.delete(RELEASE, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts the gateway once its serving certificate exists, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up in time.
    pub async fn start_gateway(&mut self) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.admin().await?, GATEWAY_NAMESPACE);
        until("the gateway's serving certificate", PATIENCE, || async {
            Ok(match secrets.get_opt("gateway-serving").await? {
                Some(_) => Look::Done(()),
                None => Look::NotYet("no Secret gateway-serving".to_owned()),
            })
        })
        .await?;
        self.gateway = Some(self.gateway_replica(5, "gateway-1", &[]).await?);
        Ok(())
    }

    /// One more gateway process, on address `number` (5 is the first one's), with additional environment variables, once it listens.
    ///
    /// # Errors
    /// When it does not come up in time.
    pub async fn gateway_replica(&self, number: u8, name: &str, environment: &[(&str, &str)]) -> Result<Process> {
        let program = ours("keystore-operator")?;
        let mut command = self.command(&program, "keystore-gateway", GATEWAY_NAMESPACE, name, number).await?;
        command.envs(environment.iter().copied());
        let process = Process::start(name, &mut command, &self.log(name))?;
        let address = format!("{}:8443", self.pods.address(number));
        until("the gateway to listen", PATIENCE, || async {
            Ok(match std::net::TcpStream::connect(&address) {
                Ok(_) => Look::Done(()),
                Err(error) => Look::NotYet(error.to_string()),
            })
        })
        .await?;
        Ok(process)
    }

    /// The running gateway's process.
    ///
    /// # Errors
    /// When it was not started.
    pub fn gateway(&mut self) -> Result<&mut Process> {
        self.gateway.as_mut().context("the gateway was not started")
    }

    /// The caller whose key the tenant received in `<access_key>-credentials`.
    ///
    /// # Errors
    /// When the key is not delivered in time.
    pub async fn caller(&self, namespace: &str, access_key: &str) -> Result<Caller> {
        // The certificate names localhost and 127.0.0.1, not this bench's block: a port forwarder stands between.
        let port = crate::loopback::forward(&format!("{}:8443", self.pods.address(5)))?;
        let endpoint = format!("https://127.0.0.1:{port}");
        let ca_bundle = self.plane.folder().join("gateway-ca.crt");
        application::caller(self.admin().await?, (namespace, access_key), endpoint, ca_bundle).await
    }

    /// What replica `number` of the controllers (5: the gateway) answers to a scrape.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metrics(&self, number: u8) -> Result<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(format!("{}:8080", self.pods.address(number)))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Applies manifests as an administrator.
    ///
    /// # Errors
    /// With the API server's words when it refuses one.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        apply(&self.plane.admin_kubeconfig(), manifests)
    }

    /// Runs kubectl as an administrator and returns what it prints.
    ///
    /// # Errors
    /// With its error output when it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl(&self.plane.admin_kubeconfig(), arguments, None)
    }

    /// The ends of all logs, for the message of a failed wait.
    #[must_use]
    pub fn last_words(&self) -> String {
        let controllers = self
            .controllers
            .iter()
            .map(|(number, process)| format!("controllers {number}:\n{}", crate::process::tail(process.log(), 25)));
        let gateway =
            self.gateway.iter().map(|process| format!("gateway:\n{}", crate::process::tail(process.log(), 15)));
        let pods = self.pods.names().into_iter().map(|pod| format!("{pod}:\n{}", self.pods.log(&pod)));
        controllers.chain(gateway).chain(pods).collect::<Vec<_>>().join("\n")
    }

    async fn command(
        &self,
        program: &Path,
        deployment: &str,
        account_namespace: &str,
        name: &str,
        number: u8,
    ) -> Result<Command> {
        let spec = self.deployments.get(deployment).with_context(|| format!("the chart has no {deployment}"))?;
        let container = template::container(spec)?;
        let account = spec.service_account_name.as_deref().context("the Deployment names no ServiceAccount")?;
        let kubeconfig = self.plane.service_account_kubeconfig(account_namespace, account).await?;
        let pod = template::PodFacts { name, namespace: account_namespace, address: self.pods.address(number) };
        let folder = self.plane.folder().join("mounts").join(name);
        let admin = self.plane.admin().await?;
        let places = mounts::write(&admin, spec, container, &pod, &folder, &folder.join("none")).await?;
        let mut command = Command::new(program);
        template::fill(&mut command, container, &pod, &places);
        command.env("KUBECONFIG", kubeconfig);
        // An hour in place of five minutes: what only a resync would mend must not pass for mended.
        command.env("KEYSTORE_RESYNC_SECONDS", "3600");
        Ok(command)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.plane.folder().join(format!("{name}.log"))
    }
}

/// One text entry of a Secret.
///
/// # Errors
/// When it is absent or no text.
pub fn entry(secret: &Secret, key: &str) -> Result<String> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key)).with_context(|| format!("no entry {key}"))?;
    Ok(String::from_utf8(bytes.0.clone())?)
}
