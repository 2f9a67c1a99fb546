//! One etcd and one kube-apiserver on loopback, with certificates made for this run.
//!
//! There is no controller manager and no kubelet on purpose: what happens to pods is decided by the test (see `pods`).
//! The ServiceAccount admission plugin is off, because nothing would create the accounts' tokens.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, api::PostParams};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use serde_json::json;
use tempfile::TempDir;

use crate::binaries::kubernetes;
use crate::loopback::{Block, CONTROL_PLANE_PORTS};
use crate::process::Process;
use crate::wait::{Look, until};

/// How long the API server may take to be ready. About five seconds are usual; several start at once when tests do.
const PATIENCE: Duration = Duration::from_secs(180);

/// What Go programs are told of their garbage: to let it grow to four times what lives. There is memory enough, and processor time is what the
/// tests lack.
const GARBAGE: (&str, &str) = ("GOGC", "400");

/// A running API server with its store. Both end when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    api_server: Process,
    etcd: Process,
    folder: TempDir,
    address: Ipv4Addr,
    _block: Block,
}

/// SIGKILL: nothing here is to be kept, and an API server that is asked to go takes its leave of every watch first.
impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.api_server.kill();
        self.etcd.kill();
    }
}

impl ControlPlane {
    /// Starts both and waits until the API server is ready (about five seconds).
    ///
    /// # Errors
    /// When a program is missing, ends early, or is not ready after three minutes.
    pub async fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("keystore-control-plane-")?;
        // Not a free port of 127.0.0.1: whoever connects to anything there may be given that port before etcd binds it.
        let block = Block::take()?;
        let address = block.control_plane();
        write_certificates(folder.path(), address)?;
        let etcd = start_etcd(folder.path(), address)?;
        let api_server = start_api_server(folder.path(), address)?;
        let mut plane = Self { api_server, etcd, folder, address, _block: block };
        plane.wait_ready().await?;
        Ok(plane)
    }

    /// The kubeconfig of a cluster administrator (`system:masters`).
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    /// The folder of this run's files and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client with the rights of a cluster administrator.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn admin(&self) -> Result<Client> {
        client_of(&self.admin_kubeconfig()).await
    }

    /// Writes a kubeconfig that holds a token of a ServiceAccount, as its pods would mount one.
    ///
    /// # Errors
    /// When the account does not exist.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { audiences: vec![], expiration_seconds: Some(7200), ..Default::default() },
            ..Default::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("failed to get a token of ServiceAccount {namespace}/{name}"))?;
        let token = answer.status.context("the token request has no status")?.token;
        let path = self.folder.path().join(format!("{namespace}-{name}.kubeconfig"));
        write_kubeconfig(&path, self.folder.path(), self.address, &json!({ "token": token }))?;
        Ok(path)
    }

    /// Stops the API server and starts it again on the same store.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn restart_api_server(&mut self) -> Result<()> {
        self.api_server.kill();
        self.api_server = start_api_server(self.folder.path(), self.address)?;
        self.wait_ready().await
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let kubeconfig = self.admin_kubeconfig();
        let (api_server, etcd) = (&mut self.api_server, &mut self.etcd);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            etcd.must_run()?;
            api_server.must_run()?;
            let client = client_of(&kubeconfig).await?;
            let request = http_get("/readyz")?;
            if client.request_text(request).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = crate::process::tail(api_server.log(), 20);
        until("the API server", Duration::ZERO, || async { Ok(Look::<()>::NotYet(log.clone())) }).await
    }
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}

/// A client for the current context of a kubeconfig. Unlike the product's (INV-77) it asks again when the API server is busy: a test that
/// looks a hundred times must not end over one look.
///
/// # Errors
/// When the file cannot be read or understood.
pub async fn client_of(kubeconfig: &Path) -> Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn start_etcd(folder: &Path, address: Ipv4Addr) -> Result<Process> {
    let [_, client, peer] = CONTROL_PLANE_PORTS;
    let (url, peer) = (format!("http://{address}:{client}"), format!("http://{address}:{peer}"));
    let mut command = Command::new(kubernetes("etcd")?);
    command
        .env(GARBAGE.0, GARBAGE.1)
        .args(["--name=test", "--unsafe-no-fsync", "--logger=zap", "--log-level=error"])
        .arg(format!("--data-dir={}", folder.join("etcd").display()))
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=test={peer}"));
    Process::start("etcd", &mut command, &folder.join("etcd.log"))
}

fn start_api_server(folder: &Path, address: Ipv4Addr) -> Result<Process> {
    let [port, etcd, _] = CONTROL_PLANE_PORTS;
    let file = |name: &str| folder.join(name).display().to_string();
    let mut command = Command::new(kubernetes("kube-apiserver")?);
    command
        .env(GARBAGE.0, GARBAGE.1)
        .arg(format!("--etcd-servers=http://{address}:{etcd}"))
        .arg(format!("--bind-address={address}"))
        .arg(format!("--advertise-address={address}"))
        .arg(format!("--secure-port={port}"))
        .args(["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC", "--allow-privileged"])
        .args(["--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"])
        .arg(format!("--client-ca-file={}", file("ca.crt")))
        .arg(format!("--tls-cert-file={}", file("apiserver.crt")))
        .arg(format!("--tls-private-key-file={}", file("apiserver.key")))
        .arg(format!("--service-account-key-file={}", file("sa.pub")))
        .arg(format!("--service-account-signing-key-file={}", file("sa.key")))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--v=0");
    Process::start("kube-apiserver", &mut command, &folder.join("kube-apiserver.log"))
}

fn write_certificates(folder: &Path, address: Ipv4Addr) -> Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "test control plane");
    let ca_certificate = ca.self_signed(&ca_key)?;
    std::fs::write(folder.join("ca.crt"), ca_certificate.pem())?;
    let issuer = Issuer::new(ca, ca_key);

    let mut server = CertificateParams::new(vec!["localhost".to_owned()])?;
    server.subject_alt_names.push(SanType::IpAddress(address.into()));
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    issue(folder, "apiserver", &server, &issuer)?;

    let mut admin = CertificateParams::default();
    admin.distinguished_name.push(DnType::CommonName, "admin");
    admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
    admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    issue(folder, "admin", &admin, &issuer)?;
    let tokens = KeyPair::generate()?;
    std::fs::write(folder.join("sa.key"), tokens.serialize_pem())?;
    std::fs::write(folder.join("sa.pub"), tokens.public_key_pem())?;
    let user = json!({
        "client-certificate": folder.join("admin.crt"),
        "client-key": folder.join("admin.key"),
    });
    write_kubeconfig(&folder.join("admin.kubeconfig"), folder, address, &user)
}

fn issue(folder: &Path, name: &str, params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<()> {
    let key = KeyPair::generate()?;
    std::fs::write(folder.join(format!("{name}.crt")), params.signed_by(&key, issuer)?.pem())?;
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    Ok(())
}

fn write_kubeconfig(path: &Path, folder: &Path, address: Ipv4Addr, user: &serde_json::Value) -> Result<()> {
    let server = format!("https://{address}:{}", CONTROL_PLANE_PORTS[0]);
    let cluster = json!({ "server": server, "certificate-authority": folder.join("ca.crt") });
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{ "name": "test", "cluster": cluster }],
        "users": [{ "name": "test", "user": user }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
    });
    std::fs::write(path, serde_json::to_vec_pretty(&config)?).context("failed to write a kubeconfig")
}
