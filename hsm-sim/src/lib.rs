//! `hsm-sim`: one simulated HSM per pod: its listeners, commands, vault and sealed store.
//!
//! A library besides the program, so that the fuzz targets can reach what is in it; it offers nothing else to anybody.
//!
//! May import of this workspace: `hsm-protocol`, `random-reserve`, `refusal-log`. Never imports: `kube`, `k8s-openapi`, `serde_json`. (An HSM knows
//! nothing of Kubernetes.)

mod admin;
mod admission;
mod cli;
mod command;
mod dispatch;
mod hardening;
mod hsm;
mod identity;
mod listener;
mod membership;
mod message_random;
mod metrics;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod provisioning;
mod refusals;
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
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Runs the HSM that the process's arguments describe, until it is told to stop.
#[must_use]
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("info"));
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
    let (sessions, stop) = (Builder::new_current_thread().enable_all().build()?, CancellationToken::new());
    let (handle, stopped) = (sessions.handle().clone(), stop.clone());
    // One thread for all sessions: reading, key use and answering wake no other core (performance §3).
    let serving = std::thread::Builder::new().name("sessions".into());
    let serving = serving.spawn(move || sessions.block_on(stopped.cancelled()))?;
    let outcome = Builder::new_multi_thread().enable_all().build()?.block_on(run::run(cli, &handle));
    stop.cancel();
    // A thread that panicked has ended as well.
    let _ = serving.join();
    outcome
}
