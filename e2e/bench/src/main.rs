//! `bench`: how fast the data path is, next to the ceilings of the same run, and what an operation costs in CPU time.
//!
//! The gateway's library is linked with a fixed key index, so that no Kubernetes is needed and the product needs no switch
//! for it. Gateways, echo servers and HSMs are processes of their own, so that each one's CPU time can be told apart;
//! the load comes from this process.
//!
//! May import of this workspace: `audit`, `hsm-client`, `hsm-initialization`, `hsm-protocol`, `hsm-test-cluster`,
//! `kms-gateway`, `operator-api`. Never imports: `hsm-sim`, `operator`, `kube`. (The simulator is started, never linked.)

mod certificates;
mod child;
mod cli;
mod echo;
mod figure;
mod gateway;
mod goals;
mod hsms;
mod load;
mod machine;
mod pinning;
mod processes;
mod report;
mod requests;
mod rounds;
mod sessions;

use clap::Parser;

/// The allocator of the product, whose data path runs in this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let cli = cli::Cli::parse();
    match cli.role {
        None => rounds::run(&cli.options),
        Some(cli::Role::Gateway) => gateway::serve(),
        Some(cli::Role::Echo) => echo::server::serve(),
    }
}
