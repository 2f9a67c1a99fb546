//! `keystore-operator gateway`: the AWS API over HTTPS until SIGTERM.

use std::sync::Arc;

use anyhow::Context;
use kms_gateway::{GatewayConfig, Metrics, Place, Readiness};
use operator_controllers::context::client;

use crate::admin;
use crate::cli::GatewayOptions;

/// Runs until SIGTERM, then lets requests under way end.
///
/// # Errors
/// When the API server's address or credentials are not to be found, or a port is taken.
pub(crate) async fn run(options: GatewayOptions) -> anyhow::Result<()> {
    let shutdown = super::shutdown_on_signal()?;
    let config = kube::Config::infer().await.context("failed to find the API server")?;
    let client = client(config).context("failed to make the API client")?;
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry).context("failed to register metrics")?;
    let readiness = Arc::new(Readiness::default());
    let ready = readiness.clone();
    let admin = admin::serve(options.admin_listen, registry, Arc::new(move || ready.waiting_for())).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %admin, listen = %options.listen, "gateway started");
    let config = GatewayConfig {
        listen: options.listen,
        namespace: options.gateway_namespace,
        place: Place { partition: options.region.partition, region: options.region.region },
        replica: options.pod_name,
        zone: options.zone,
    };
    kms_gateway::run(config, client, metrics, readiness, shutdown).await.context("failed to serve")
}
