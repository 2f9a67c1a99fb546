//! `kubectl keystore`: what an owner asks of their key stores, and how lost objects come back. One static binary on the PATH.
//!
//! It works with the rights of the user's kubeconfig and speaks to the API server only: never to an HSM, never to a Secret. What it decides is
//! in pure functions ([`status::tree`], [`recover::plan`]); what a problem means and what to do about it is said by the controllers, in the
//! conditions of each object.
//!
//! May import of this workspace: `operator-api`. Never imports: `hsm-client`, `operator-controllers`, `aws-lc-rs`. (It could reach nothing but the
//! API server.)

mod api_server;
mod cli;
mod recover;
mod status;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::api_server::ApiServer;
use crate::cli::{Cli, Command};

/// Something is not as it should be; usage errors end with 2, by clap.
const WRONG: u8 = 1;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(WRONG),
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(WRONG)
        }
    }
}

/// Whether everything is well.
fn run(cli: &Cli) -> anyhow::Result<bool> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("failed to install the crypto provider: another one is installed already");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = ApiServer::connect(&cli.connection).await?;
        match &cli.command {
            Command::Status(options) => status::run(&server, options).await,
            Command::Recover(options) => recover::run(&server, options).await,
        }
    })
}
