//! `keystore-operator controllers`: wait for the Lease, reconcile while it is ours, hand it over at the end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use operator_controllers::context::{CertificateTerms, Context, Namespaces, Settings, client};
use operator_controllers::leader::{Ended, Leadership, elect};
use operator_controllers::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::cli::ControllerOptions;

/// Name of the Lease.
const LEASE: &str = "keystore-operator";
/// Reconciles under way get this long after SIGTERM; below the usual 30 s between SIGTERM and SIGKILL.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs until SIGTERM, or fails when the Lease is lost.
///
/// # Errors
/// When the API server's address or credentials are not to be found, the admin port is taken, or the Lease was lost: in the last case
/// nothing of this process may go on, and a supervisor starts it afresh.
pub(crate) async fn run(options: ControllerOptions) -> anyhow::Result<()> {
    let shutdown = super::shutdown_on_signal()?;
    let config = kube::Config::infer().await.context("failed to find the API server")?;
    let client = client(config).context("failed to make the API client")?;
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry).context("failed to register metrics")?;
    // A standby is as ready as the leader: its job is to wait.
    let admin = admin::serve(options.admin_listen, registry, Arc::new(Vec::new)).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %admin, "controllers started");

    let leadership = Leadership::default();
    let settings = settings(options)?;
    let namespace = settings.namespaces.system.clone();
    let Some(mut leader) =
        elect(client.clone(), &namespace, LEASE, &settings.identity, leadership.clone(), &shutdown).await
    else {
        return Ok(());
    };
    metrics.leader.set(1);
    let context = Arc::new(Context::new(client, settings, metrics.clone(), leadership));
    let stop = shutdown.child_token();
    let mut work = tokio::spawn(operator_controllers::run(context, stop.clone()));
    let drained = CancellationToken::new();
    let watcher = tokio::spawn(drain(shutdown.clone(), stop, drained.clone()));
    let ended = tokio::select! {
        ended = leader.hold(&drained) => ended,
        result = &mut work => {
            let unexpected = result.is_err() || !shutdown.is_cancelled();
            watcher.abort();
            if unexpected { bail!("failed to go on: a controller ended unexpectedly") }
            Ended::Shutdown
        }
    };
    metrics.leader.set(0);
    match ended {
        Ended::Lost => bail!("lost the leader's lease"),
        Ended::Shutdown if work.is_finished() => leader.release().await,
        // Work under way may still act: the Lease must run out by itself.
        Ended::Shutdown => tracing::warn!("reconciles did not end in time; the lease is left to expire"),
    }
    Ok(())
}

/// Stops the work at shutdown, and the renewal of the Lease only some time later: work that is finishing is still the leader's work.
async fn drain(shutdown: CancellationToken, stop: CancellationToken, drained: CancellationToken) {
    shutdown.cancelled().await;
    stop.cancel();
    tokio::time::sleep(DRAIN).await;
    drained.cancel();
}

fn settings(options: ControllerOptions) -> anyhow::Result<Settings> {
    let options_of = &options.certificates;
    let certificates = CertificateTerms::new(
        (options_of.serving_certificate_lifetime, options_of.serving_certificate_renew_before),
        (options_of.client_certificate_lifetime, options_of.client_certificate_renew_before),
        (options_of.pod_certificate_lifetime, options_of.pod_certificate_renew_before),
    )?;
    Ok(Settings {
        certificates,
        namespaces: Namespaces {
            system: options.namespaces.system_namespace,
            gateway: options.namespaces.gateway_namespace,
            hsm: options.namespaces.hsm_namespace,
            vault: options.namespaces.vault_namespace,
        },
        region: options.region.region,
        partition: options.region.partition,
        hsm_image: options.hsm_image,
        hsm_image_pull_policy: options.hsm_image_pull_policy,
        gateway_names: options.gateway_names,
        resync: Duration::from_secs(options.resync_seconds),
        hsm_timeout: Duration::from_secs(options.hsm_timeout_seconds),
        // Two processes never share an identity, whatever their pods are called.
        identity: format!("{}_{}", options.pod_name, uuid::Uuid::new_v4()),
    })
}
