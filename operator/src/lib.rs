//! `keystore-operator`: one program, one subcommand per role. Wiring only; see `--help`.
//!
//! A library besides the program, so that the tests' variant, which ends the process at a chosen effect, wires nothing by itself.
//!
//! May import of this workspace: `kms-gateway`, `operator-api`, `operator-controllers`. Never imports: `hsm-client`,
//! `hsm-protocol`, `operator-domain`. (Wiring decides nothing.)

mod admin;
mod cli;
mod run;
mod telemetry;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

/// Runs the subcommand of the process's arguments. Wrong arguments end the process with a usage message; whatever else ends it is said once,
/// with all its causes, and makes it a failure.
#[must_use]
pub fn main() -> ExitCode {
    match start(cli::Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Into the log, as a line like the others. In plain text before there is a log, or if its filter leaves out even this.
fn report(error: &anyhow::Error) {
    if tracing::event_enabled!(tracing::Level::ERROR) {
        tracing::error!("{error:#}");
    } else {
        eprintln!("Error: {error:#}");
    }
}

fn start(command: cli::Command) -> anyhow::Result<()> {
    // The one crypto provider of every TLS connection of this process; a second one in the graph would be an error in Cargo.lock.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("failed to install the crypto provider: another one is installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the asynchronous runtime")?;
    match command {
        cli::Command::Crds(options) => run::crds::run(&options),
        cli::Command::Controllers(options) => {
            telemetry::start(&options.log);
            runtime.block_on(run::controllers::run(*options))
        }
        cli::Command::Gateway(options) => {
            telemetry::start(&options.log);
            runtime.block_on(run::gateway::run(*options))
        }
    }
}
