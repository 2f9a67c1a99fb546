//! Flags and environment of the process: the only place that reads them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, value_parser};

use crate::vault::password::{ALLOWED_ITERATIONS, ITERATIONS};

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
    /// Iterations of PBKDF2-HMAC-SHA-512 for passwords that are set from now on; 1000 to 2000000. The others keep theirs.
    #[arg(
        long,
        env = "HSM_PASSWORD_ITERATIONS",
        default_value_t = ITERATIONS,
        value_parser = value_parser!(u32).range(ALLOWED_ITERATIONS)
    )]
    pub(crate) password_iterations: u32,
    /// What is logged: a level, or targets with levels such as `info,hsm_sim=debug`.
    #[arg(long, env = "HSM_LOG", default_value = "info")]
    pub(crate) log: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iterations(more: &[&str]) -> Result<u32, String> {
        let needed = ["hsm-sim", "--pod-name=a", "--pod-certificate=a", "--pod-key=a", "--operator-ca=a"];
        let given = needed.iter().chain(&["--sealing-share=a"]).chain(more);
        Cli::try_parse_from(given).map(|cli| cli.password_iterations).map_err(|error| error.to_string())
    }

    /// NIST SP 800-132: a typing error must not make passwords cheap to guess, nor logins too slow to succeed.
    #[test]
    fn the_cost_of_a_password_is_a_setting_with_bounds() {
        assert_eq!(iterations(&[]), Ok(ITERATIONS));
        for (text, allowed) in [("1000", 1_000), ("600000", 600_000), ("2000000", 2_000_000)] {
            assert_eq!(iterations(&["--password-iterations", text]), Ok(allowed));
        }
        for refused in ["0", "999", "2000001", "many"] {
            let said = iterations(&["--password-iterations", refused]).unwrap_err();
            assert!(said.contains("--password-iterations") && said.contains(refused), "{said}");
        }
        let said = iterations(&["--password-iterations", "999"]).unwrap_err();
        assert!(said.contains("1000..=2000000"), "{said}");
    }
}
