//! What every controller is given: the API client, the configuration, the leader's check, events and metrics.
//!
//! Nothing here is global; a process builds one [`Context`] and hands out `Arc`s of it.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::client::ClientBuilder;
use kube::runtime::events::{Recorder, Reporter};
use operator_api::{CustomKeyStore, KmsKey};
use operator_domain::certificate::{InvalidTerm, Term};
use tower::timeout::TimeoutLayer;

use crate::certificate::expiry::Ends;
use crate::custom_key_store::{Connections, Gateways};
use crate::fences::Fences;
use crate::keystore_account::Accounts;
use crate::kms_key::{KeyIds, Silences, WokenBy};
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::recovery::Written;
use crate::report::{Attempts, Controller};
use crate::ring::KeptRings;
use crate::secrets::SecretStore;
use crate::shared_store::SharedStore;
use crate::write::Writes;

/// The four namespaces of an installation (architecture, "Namespaces of the installation").
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Controllers, claims and the leader's Lease.
    pub system: String,
    /// Gateway, its client certificates, its serving certificate, access keys.
    pub gateway: String,
    /// StatefulSets, PVCs, Services, sealing shares and pod certificates.
    pub hsm: String,
    /// Ring, customer CA key, officer password, operator CA key, the controllers' client key.
    pub vault: String,
}

/// Configuration of the controllers; `cli.rs` of the binary is the only place that reads it from flags and environment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything of this installation lives.
    pub namespaces: Namespaces,
    /// Region of every ARN, for example `local-1`.
    pub region: String,
    /// Partition of every ARN, for example `aws`.
    pub partition: String,
    /// Image of the HSM pods.
    pub hsm_image: String,
    /// `imagePullPolicy` of the HSM pods.
    pub hsm_image_pull_policy: String,
    /// Names and addresses of the gateway beyond `localhost`, `127.0.0.1` and its Service, for its serving certificate.
    pub gateway_names: Vec<String>,
    /// How long certificates last, and when they are renewed.
    pub certificates: CertificateTerms,
    /// Longest time between two reconciles of an object about which nothing changed.
    pub resync: Duration,
    /// Time limit of one dial or one command to an HSM.
    pub hsm_timeout: Duration,
    /// How the Lease and events name this process: the pod's name.
    pub identity: String,
}

/// How long the certificates of each kind last.
#[derive(Clone, Copy, Debug)]
pub struct CertificateTerms {
    /// HTTPS of the gateway.
    pub gateway_serving: Term,
    /// Gateway and controllers towards the HSMs.
    pub hsm_clients: Term,
    /// Provisioning listeners of the HSM pods.
    pub hsm_pods: Term,
}

impl CertificateTerms {
    /// From lifetime and renewal before the end, for each kind.
    ///
    /// # Errors
    /// When they do not go together; says for which kind.
    pub fn new(
        gateway_serving: (Duration, Duration),
        hsm_clients: (Duration, Duration),
        hsm_pods: (Duration, Duration),
    ) -> Result<Self, InvalidTerms> {
        let term = |kind, (lifetime, renew_before)| {
            Term::new(lifetime, renew_before).map_err(|source| InvalidTerms { kind, source })
        };
        Ok(Self {
            gateway_serving: term("serving", gateway_serving)?,
            hsm_clients: term("client", hsm_clients)?,
            hsm_pods: term("pod", hsm_pods)?,
        })
    }
}

/// Lifetime and renewal of one kind of certificate do not go together.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("failed to use the terms of {kind} certificates")]
pub struct InvalidTerms {
    kind: &'static str,
    source: InvalidTerm,
}

/// Handed to every reconcile.
#[derive(Clone)]
pub struct Context {
    /// API client with kube's own retry switched off (`INV-77`); reads through it are quorum reads.
    pub client: Client,
    /// Configuration.
    pub settings: Arc<Settings>,
    /// Publishes events; use [`crate::report::event`].
    pub recorder: Recorder,
    /// Metrics of this crate.
    pub metrics: Metrics,
    /// When certificates end.
    pub certificate_ends: Ends,
    /// Must be asked before every effect outside the API server; [`Writes`] asks it for effects inside.
    pub leader: Leadership,
    /// Failed attempts per object, for the back-off.
    pub attempts: Attempts,
    /// Which account a namespace is, as far as known.
    pub accounts: Accounts,
    /// The fences that this process holds.
    pub fences: Fences,
    /// The HSMs that did not answer the key controller a moment ago.
    pub silences: Silences,
    /// The live `kmsuser` sessions of connected stores.
    pub connections: Connections,
    /// The recovery records that this process knows to be stored.
    pub records: Written,
    /// The passwords of `kmsuser` as last stored, in case their Secret is deleted.
    pub rings: KeptRings,
    /// What was seen of the gateway's replicas.
    pub gateways: Gateways,
    /// The store controller's cache.
    pub stores: SharedStore<CustomKeyStore>,
    /// The key controller's cache.
    pub keys: SharedStore<KmsKey>,
    /// The key ids that more than one object says.
    pub key_ids: KeyIds,
    /// What the key controller's own watch last saw of each store.
    pub woken_by: WokenBy,
}

impl Context {
    /// Puts the parts together. `client` should come from [`client`].
    #[must_use]
    pub fn new(client: Client, settings: Settings, metrics: Metrics, leader: Leadership) -> Self {
        let reporter = Reporter { controller: "keystore-operator".into(), instance: Some(settings.identity.clone()) };
        let recorder = Recorder::new(client.clone(), reporter);
        Self {
            client,
            settings: Arc::new(settings),
            recorder,
            metrics,
            certificate_ends: Ends::default(),
            leader,
            attempts: Attempts::default(),
            accounts: Accounts::default(),
            fences: Fences::default(),
            silences: Silences::default(),
            connections: Connections::default(),
            records: Written::default(),
            rings: KeptRings::default(),
            gateways: Gateways::default(),
            stores: SharedStore::default(),
            keys: SharedStore::default(),
            key_ids: KeyIds::default(),
            woken_by: WokenBy::default(),
        }
    }

    /// The writes of one controller: leader-checked, under that controller's field manager.
    #[must_use]
    pub fn writes(&self, controller: Controller) -> Writes {
        Writes::new(self.client.clone(), self.leader.clone(), controller.field_manager())
    }

    /// The Secrets of the installation's namespaces, by name only (D10).
    #[must_use]
    pub fn secrets(&self, controller: Controller) -> SecretStore {
        SecretStore::new(self.writes(controller))
    }

    /// The installation's namespaces.
    #[must_use]
    pub fn namespaces(&self) -> &Namespaces {
        &self.settings.namespaces
    }
}

/// Time from a request to the beginning of its answer. The API server gives up after 60 s by itself; what takes longer has no server behind it.
const ANSWER: Duration = Duration::from_secs(65);

/// Longest silence inside an answer. The API server ends a watch after 290 s, and sends a bookmark every minute until then.
const SILENCE: Duration = Duration::from_secs(330);

/// An API client whose every retry is ours (`INV-77`) and whose every request ends: one that is never answered, by a proxy that lost its
/// server or a connection that broke unseen, would hold up its object until the process is restarted. A write that ran out of time may
/// have been made, like any other whose reply was lost (`INV-23`).
///
/// # Errors
/// When the configuration cannot be turned into a client (certificates, proxy).
pub fn client(config: kube::Config) -> Result<Client, kube::Error> {
    answered_within(ANSWER, config)
}

fn answered_within(limit: Duration, config: kube::Config) -> Result<Client, kube::Error> {
    let builder = ClientBuilder::try_from(without_retries(config))?;
    Ok(builder.with_layer(&TimeoutLayer::new(limit)).build())
}

/// kube 5 sets `default_retry` in every constructor of its configuration. A retried write is one that a deposed leader may
/// send long after its lease ended, and a retried create answers `AlreadyExists` for our own success.
fn without_retries(mut config: kube::Config) -> kube::Config {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(SILENCE);
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn unavailable_server(requests: Arc<AtomicUsize>) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                requests.fetch_add(1, Ordering::SeqCst);
                let mut buffer = [0u8; 4096];
                let _ = stream.read(&mut buffer).await;
                let answer = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    /// INV-77.
    #[tokio::test]
    async fn an_unavailable_api_server_is_asked_exactly_once_per_call() {
        let requests = Arc::new(AtomicUsize::new(0));
        let address = unavailable_server(requests.clone()).await;
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        assert!(config.default_retry, "kube changed its default: see whether this switch is still needed");
        let api: Api<ConfigMap> = Api::namespaced(client(config).unwrap(), "default");
        assert!(api.get("anything").await.is_err());
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    /// A listener whose connections are accepted by the kernel and read by nobody.
    #[tokio::test]
    async fn a_request_that_is_never_answered_ends_as_an_error() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = kube::Config::new(format!("http://{}", silent.local_addr().unwrap()).parse().unwrap());
        let client = answered_within(Duration::from_millis(50), config).unwrap();
        let api: Api<ConfigMap> = Api::namespaced(client, "default");
        assert!(matches!(api.get("anything").await, Err(kube::Error::Service(_))));
    }
}
