//! Flags of `bench`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures Encrypt and Decrypt through the gateway and three HSM processes, next to the ceilings of the same run.
///
/// Every figure is the median of interleaved rounds (product, ceiling, product, ceiling, …), with the smallest and largest
/// beside it. On a machine that does other work, trust the CPU time per operation and the ratios; the report says how
/// busy the rest of the machine was. Latency is open loop: requests are due at fixed times and their latency counts from
/// the moment they were due, whether or not the connection was free by then.
///
/// The programs must lie in one folder: `make bench` builds them (profile `bench`, which is `release` with symbols).
/// A table goes to standard output, all values to <OUT>/bench.json. Exits with 1 when a request fails, never for being slow.
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

const EXAMPLES: &str = "Examples:
  make bench                                      everything, about five minutes
  make bench BENCH='--quick'                      one minute: fewer and shorter rounds
  make bench BENCH='--only encrypt --rounds 9'    the closed loop of Encrypt alone
  nice -n -5 target/x86_64-unknown-linux-gnu/release/bench --only latency";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fewer and shorter rounds: about a minute.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure these parts only. Repeat the flag, or separate by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    pub(crate) only: Vec<Part>,
    /// Rounds of each measurement [default: 5, with --quick 3].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: Option<u16>,
    /// Length of one round in seconds [default: 3, with --quick 1].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) seconds: Option<u16>,
    /// Connections of the load.
    #[arg(long, default_value_t = 64, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,
    /// Folder for bench.json.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Nested HSM sessions next to nested and plain echo, both ends on one core (G5, G6).
    Sessions,
    /// Encrypt over HTTP and HTTPS, closed loop, next to both ceilings (G1 to G4).
    Encrypt,
    /// Decrypt over HTTP, closed loop.
    Decrypt,
    /// Encrypt on one runtime whose threads share all work, instead of one runtime per core.
    Layout,
    /// Open-loop latency at 1,800/s and 20,000/s (G9).
    Latency,
}

impl Options {
    /// Whether `part` is to be measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Rounds of each measurement.
    pub(crate) fn rounds(&self) -> u16 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 })
    }

    /// Length of one round in seconds.
    pub(crate) fn seconds(&self) -> u16 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 3 })
    }
}

/// What this program does when it starts itself.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Role {
    /// A gateway; its settings come from standard input.
    #[command(hide = true)]
    Gateway,
    /// An echo server; its settings come from standard input.
    #[command(hide = true)]
    Echo,
}
