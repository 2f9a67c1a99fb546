//! `hsm-sim`: one simulated HSM per pod. Wiring only: harden, log, read flags, run.
//!
//! May import of this workspace: `hsm-protocol`. Never imports: `kube`, `k8s-openapi`, `serde_json`. (An HSM knows
//! nothing of Kubernetes.)

mod admin;
mod cli;
mod command;
mod dispatch;
mod hardening;
mod hsm;
mod identity;
mod listener;
mod membership;
mod metrics;
mod provisioning;
mod replication;
mod run;
mod seal;
mod session;
mod sessions;
mod store;
mod tls;
mod vault;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let filter = EnvFilter::try_from_env("HSM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: cli::Cli) -> anyhow::Result<()> {
    hardening::apply()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run::run(cli))
}
