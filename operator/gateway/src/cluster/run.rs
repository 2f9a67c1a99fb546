//! The gateway as a process: watches, lease, server; from start to drained.

use std::fs::File;
use std::io::{self, stdout};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use audit::{Gathered, LineWriter};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access_keys::{AccessKeyObjects, AccessKeys};
use super::accounts::Accounts;
use super::config::GatewayConfig;
use super::connections::Connections;
use super::control_plane::Kubernetes;
use super::core_stores::CoreStores;
use super::feed::{Feed, follow};
use super::keys::{Aliases, Keys};
use super::lease;
use super::readiness::Readiness;
use super::reviews::Reviews;
use super::secrets::{CERTIFICATE, Secrets};
use super::stores::{Clusters, Stores};
use crate::gateway::{Gateway, Parts};
use crate::index::Index;
use crate::metrics::Metrics;
use crate::server::{CertificateError, Cores, ServingCertificate, ServingPlace, serve};

/// How often decisions that nobody needs any more are forgotten.
const FORGETTING: Duration = Duration::from_secs(3_600);

/// Why a gateway did not start.
#[derive(Debug, Error)]
pub enum RunError {
    /// The address cannot be listened on.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// TLS cannot be configured.
    #[error("failed to configure TLS")]
    Tls(#[from] CertificateError),
    /// The data path has no threads.
    #[error("failed to start the threads that serve requests")]
    Cores(#[source] std::io::Error),
    /// The audit writer has no thread.
    #[error("failed to start the audit writer")]
    Audit(#[source] std::io::Error),
}

/// Standard output for the records alone, without the buffer that `stdout` has.
fn standard_output() -> io::Result<File> {
    Ok(File::from(stdout().as_fd().try_clone_to_owned()?))
}

/// Runs a gateway until `shutdown`, then drains it. Connections are accepted once `readiness` says ready.
///
/// `client` must have its own retries off: what is retried, and how often, is decided here.
///
/// # Errors
/// [`RunError`] when it cannot start. A lost API server is no error: what is known stays in use.
pub async fn run(
    config: GatewayConfig,
    client: Client,
    metrics: Metrics,
    readiness: Arc<Readiness>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let listener =
        TcpListener::bind(config.listen).await.map_err(|source| RunError::Listen { address: config.listen, source })?;
    let index = Arc::new(Index::default());
    let cores = Cores::start().map_err(RunError::Cores)?;
    let connections = Arc::new(Connections::new(config.zone.clone(), cores.runtimes()));
    let on_core = |core| Arc::new(CoreStores { connections: Arc::clone(&connections), core });
    let certificate = Arc::new(ServingCertificate::new()?);
    let audit = Arc::new(standard_output().and_then(LineWriter::start_on).map_err(RunError::Audit)?);
    let gateway = Arc::new(Gateway::new(Parts {
        index: Arc::clone(&index),
        stores: on_core(0),
        control: Arc::new(Kubernetes::new(client.clone())),
        authorizer: Arc::new(Reviews(client.clone())),
        audit: Arc::clone(&audit) as _,
        metrics: metrics.clone(),
        place: config.place.clone(),
    }));

    let place = |(core, runtime): (usize, &Handle)| ServingPlace {
        runtime: runtime.clone(),
        gateway: Arc::new(gateway.on_core(on_core(core), Arc::new(Gathered::new(Arc::clone(&audit))))),
    };
    let places: Vec<_> = cores.runtimes().iter().enumerate().map(place).collect();

    // The watches and the lease outlive the accepting of connections: requests that drain still use what they know.
    let (tasks, background) = (TaskTracker::new(), CancellationToken::new());
    let watches = Watches { tasks: &tasks, readiness: &readiness, metrics: &metrics, shutdown: &background };
    watches.start(&config, &client, &index, &connections, &certificate);
    let leases = Api::namespaced(client, &config.namespace);
    tasks.spawn(lease::keep(leases, config.replica, connections, Arc::clone(&readiness), background.clone()));
    tasks.spawn(forget(Arc::clone(&gateway), background.clone()));

    tokio::select! {
        () = readiness.ready() => {
            tracing::info!(address = %config.listen, region = config.place.region, cores = places.len(), "serving");
            serve(listener, certificate.acceptor(), places, shutdown).await;
        }
        () = shutdown.cancelled() => {}
    }
    background.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// What every watch needs.
struct Watches<'a> {
    tasks: &'a TaskTracker,
    readiness: &'a Arc<Readiness>,
    metrics: &'a Metrics,
    shutdown: &'a CancellationToken,
}

impl Watches<'_> {
    fn start(
        &self,
        config: &GatewayConfig,
        client: &Client,
        index: &Arc<Index>,
        connections: &Arc<Connections>,
        certificate: &Arc<ServingCertificate>,
    ) {
        let watched = [Keys::NAME, Aliases::NAME, Accounts::NAME, Stores::NAME, Clusters::NAME];
        let signers = [AccessKeyObjects::NAME, Secrets::NAME];
        self.readiness.expect(&[watched.as_slice(), &signers, &[CERTIFICATE, lease::WRITTEN]].concat());
        let (index, connections) = (|| Arc::clone(index), || Arc::clone(connections));
        self.follow(Keys(index()), Api::all(client.clone()));
        self.follow(Aliases(index()), Api::all(client.clone()));
        self.follow(Accounts::new(index()), Api::all(client.clone()));
        self.follow(Stores { index: index(), connections: connections() }, Api::all(client.clone()));
        self.follow(Clusters { index: index(), connections: connections() }, Api::all(client.clone()));
        let access_keys = Arc::new(AccessKeys::new(index()));
        self.follow(AccessKeyObjects(Arc::clone(&access_keys)), Api::all(client.clone()));
        let secrets = Secrets {
            access_keys,
            connections: connections(),
            certificate: Arc::clone(certificate),
            readiness: Arc::clone(self.readiness),
            metrics: self.metrics.clone(),
        };
        self.follow(secrets, Api::<Secret>::namespaced(client.clone(), &config.namespace));
    }

    fn follow<F: Feed>(&self, feed: F, api: Api<F::Object>) {
        self.tasks.spawn(follow(feed, api, Arc::clone(self.readiness), self.shutdown.clone()));
    }
}

async fn forget(gateway: Arc<Gateway>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(FORGETTING) => gateway.forget_old(),
        }
    }
}
