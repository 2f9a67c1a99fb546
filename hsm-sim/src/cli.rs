//! Flags and environment of the process: the only place that reads them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// One simulated HSM: one process per pod of a `CloudHsmCluster`.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// Mount point of the volume.
    #[arg(long, env = "HSM_DATA_DIR", default_value = "/data")]
    pub(crate) data_dir: PathBuf,
    /// Name of this pod; its volume and its certificate belong to it.
    #[arg(long, env = "POD_NAME")]
    pub(crate) pod_name: String,
    /// The pod's certificate from the operator CA, PEM.
    #[arg(long, env = "HSM_POD_CERTIFICATE")]
    pub(crate) pod_certificate: PathBuf,
    /// Its key, PEM.
    #[arg(long, env = "HSM_POD_KEY")]
    pub(crate) pod_key: PathBuf,
    /// The operator CA of this cluster, PEM.
    #[arg(long, env = "HSM_OPERATOR_CA")]
    pub(crate) operator_ca: PathBuf,
    /// The cluster's share of the sealing root: 32 random bytes.
    #[arg(long, env = "HSM_SEALING_SHARE")]
    pub(crate) sealing_share: PathBuf,
    /// Client port.
    #[arg(long, env = "HSM_CLIENT_LISTEN", default_value = "0.0.0.0:2223")]
    pub(crate) client_listen: SocketAddr,
    /// Provisioning and peer port.
    #[arg(long, env = "HSM_PEER_LISTEN", default_value = "0.0.0.0:2224")]
    pub(crate) peer_listen: SocketAddr,
    /// Health and metrics port.
    #[arg(long, env = "HSM_ADMIN_LISTEN", default_value = "0.0.0.0:9090")]
    pub(crate) admin_listen: SocketAddr,
    /// What is logged: a level, or targets with levels such as `info,hsm_sim=debug`.
    #[arg(long, env = "HSM_LOG", default_value = "info")]
    pub(crate) log: String,
}
