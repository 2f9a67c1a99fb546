//! Flags and environment variables: the only place that reads them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// AWS KMS keys in HSMs that you control, as Kubernetes resources.
///
/// A normal installation runs `controllers` (one leader, standbys take over) and `gateway` (stateless replicas) from the Helm chart.
/// Every flag can be given by the environment variable shown beside it. The API server is found as kubectl finds it: by the pod's
/// service account, or by KUBECONFIG.
#[derive(Debug, Parser)]
#[command(name = "keystore-operator", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Reconcile CloudHsmCluster, CustomKeyStore, KmsKey, KmsAlias, KmsAccessKey and KeystoreAccount.
    ///
    /// Waits for the Lease `keystore-operator` in the system namespace; exits with an error when the Lease is lost, so that a supervisor
    /// starts it afresh as a standby. SIGTERM finishes what is under way, releases the Lease and exits.
    Controllers(Box<ControllerOptions>),
    /// Serve the AWS KMS API over HTTPS for the keys in this Kubernetes cluster.
    Gateway(Box<GatewayOptions>),
    /// Print the CustomResourceDefinitions, or write one file per kind.
    ///
    /// Example: keystore-operator crds | kubectl apply --server-side -f -
    Crds(CrdOptions),
}

/// Where everything of the installation lives.
#[derive(Debug, Args)]
pub(crate) struct NamespaceOptions {
    /// Namespace of controllers, claims and the Lease.
    #[arg(long, env = "KEYSTORE_SYSTEM_NAMESPACE", default_value = "keystore-system", value_name = "NAMESPACE")]
    pub(crate) system_namespace: String,
    /// Namespace of the gateway, its certificates and the access keys.
    #[arg(long, env = "KEYSTORE_GATEWAY_NAMESPACE", default_value = "keystore-gateway", value_name = "NAMESPACE")]
    pub(crate) gateway_namespace: String,
    /// Namespace of the HSM pods and their volumes.
    #[arg(long, env = "KEYSTORE_HSM_NAMESPACE", default_value = "keystore-hsm", value_name = "NAMESPACE")]
    pub(crate) hsm_namespace: String,
    /// Namespace of passwords and private keys that only the controllers read.
    #[arg(long, env = "KEYSTORE_VAULT_NAMESPACE", default_value = "keystore-vault", value_name = "NAMESPACE")]
    pub(crate) vault_namespace: String,
}

/// What every long-running role takes.
#[derive(Debug, Args)]
pub(crate) struct RegionOptions {
    /// Region in every ARN and in every request's signature.
    #[arg(long, env = "KEYSTORE_REGION", default_value = "local-1", value_name = "REGION")]
    pub(crate) region: String,
    /// Partition in every ARN.
    #[arg(long, env = "KEYSTORE_PARTITION", default_value = "aws", value_name = "PARTITION")]
    pub(crate) partition: String,
}

#[derive(Debug, Args)]
pub(crate) struct ControllerOptions {
    #[command(flatten)]
    pub(crate) namespaces: NamespaceOptions,
    #[command(flatten)]
    pub(crate) region: RegionOptions,
    /// Image of the HSM pods.
    #[arg(long, env = "KEYSTORE_HSM_IMAGE", default_value = concat!("hsm-sim:", env!("CARGO_PKG_VERSION")), value_name = "IMAGE")]
    pub(crate) hsm_image: String,
    /// imagePullPolicy of the HSM pods.
    #[arg(long, env = "KEYSTORE_HSM_IMAGE_PULL_POLICY", default_value = "IfNotPresent", value_name = "POLICY",
          value_parser = ["Always", "IfNotPresent", "Never"])]
    pub(crate) hsm_image_pull_policy: String,
    /// DNS name or address under which clients reach the gateway, besides localhost, 127.0.0.1 and its Service: goes into its serving
    /// certificate. Repeat the flag, or separate by commas.
    #[arg(long = "gateway-name", env = "KEYSTORE_GATEWAY_NAMES", value_delimiter = ',', value_name = "NAME")]
    pub(crate) gateway_names: Vec<String>,
    #[command(flatten)]
    pub(crate) certificates: CertificateOptions,
    /// Longest time in seconds between two looks at an object about which nothing changed.
    #[arg(long, env = "KEYSTORE_RESYNC_SECONDS", default_value_t = 300, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(5..=86_400))]
    pub(crate) resync_seconds: u64,
    /// Time limit in seconds of one dial or one command to an HSM.
    #[arg(long, env = "KEYSTORE_HSM_TIMEOUT_SECONDS", default_value_t = 5, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) hsm_timeout_seconds: u64,
    /// Name of this replica in the Lease and in events: the pod's name.
    #[arg(long, env = "POD_NAME", default_value = "keystore-operator", value_name = "NAME")]
    pub(crate) pod_name: String,
    /// Address of /healthz, /readyz and /metrics (plain HTTP).
    #[arg(long, env = "KEYSTORE_ADMIN_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub(crate) admin_listen: SocketAddr,
    /// Log filter, for example `info,operator_controllers=debug`.
    #[arg(long, env = "KEYSTORE_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

/// How long certificates last, and how long before its end each is renewed. Durations such as 90s, 30m or 2160h.
#[derive(Debug, Args)]
pub(crate) struct CertificateOptions {
    /// Lifetime of the gateway's HTTPS certificate.
    #[arg(long, env = "KEYSTORE_SERVING_CERTIFICATE_LIFETIME", default_value = "2160h", value_name = "DURATION", value_parser = duration)]
    pub(crate) serving_certificate_lifetime: Duration,
    /// How long before its end it is renewed; at most three quarters of the lifetime.
    #[arg(long, env = "KEYSTORE_SERVING_CERTIFICATE_RENEW_BEFORE", default_value = "720h", value_name = "DURATION", value_parser = duration)]
    pub(crate) serving_certificate_renew_before: Duration,
    /// Lifetime of the certificates with which gateway and controllers open HSM sessions.
    #[arg(long, env = "KEYSTORE_CLIENT_CERTIFICATE_LIFETIME", default_value = "8760h", value_name = "DURATION", value_parser = duration)]
    pub(crate) client_certificate_lifetime: Duration,
    /// How long before their end they are renewed; at most three quarters of the lifetime.
    #[arg(long, env = "KEYSTORE_CLIENT_CERTIFICATE_RENEW_BEFORE", default_value = "2920h", value_name = "DURATION", value_parser = duration)]
    pub(crate) client_certificate_renew_before: Duration,
    /// Lifetime of the certificates of the HSM pods' provisioning listeners.
    #[arg(long, env = "KEYSTORE_POD_CERTIFICATE_LIFETIME", default_value = "8760h", value_name = "DURATION", value_parser = duration)]
    pub(crate) pod_certificate_lifetime: Duration,
    /// How long before their end they are renewed; at most three quarters of the lifetime.
    #[arg(long, env = "KEYSTORE_POD_CERTIFICATE_RENEW_BEFORE", default_value = "2920h", value_name = "DURATION", value_parser = duration)]
    pub(crate) pod_certificate_renew_before: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = |error: jiff::Error| format!("{error}; write a number and a unit, such as 90s, 30m or 2160h");
    text.parse::<jiff::SignedDuration>().and_then(Duration::try_from).map_err(wrong)
}

#[derive(Debug, Args)]
pub(crate) struct GatewayOptions {
    /// Namespace of the gateway, its certificates and the access keys: the only one whose Secrets it reads.
    #[arg(long, env = "KEYSTORE_GATEWAY_NAMESPACE", default_value = "keystore-gateway", value_name = "NAMESPACE")]
    pub(crate) gateway_namespace: String,
    #[command(flatten)]
    pub(crate) region: RegionOptions,
    /// Zone of this replica's node: HSMs in the same zone are asked first. Empty: unknown.
    #[arg(long, env = "KEYSTORE_ZONE", default_value = "", value_name = "ZONE")]
    pub(crate) zone: String,
    /// Name of this replica: the pod's name.
    #[arg(long, env = "POD_NAME", default_value = "keystore-gateway", value_name = "NAME")]
    pub(crate) pod_name: String,
    /// Address of the AWS API (HTTPS).
    #[arg(long, env = "KEYSTORE_LISTEN", default_value = "0.0.0.0:8443", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Address of /healthz, /readyz and /metrics (plain HTTP).
    #[arg(long, env = "KEYSTORE_ADMIN_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub(crate) admin_listen: SocketAddr,
    /// Log filter, for example `info,kms_gateway=debug`.
    #[arg(long, env = "KEYSTORE_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

#[derive(Debug, Args)]
pub(crate) struct CrdOptions {
    /// Write `<plural>.yaml` per kind into this folder instead of printing all of them.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_chart() {
        let cli = Cli::try_parse_from(["keystore-operator", "controllers"]).unwrap();
        let Command::Controllers(options) = cli.command else { panic!("another subcommand") };
        assert_eq!(options.namespaces.hsm_namespace, "keystore-hsm");
        assert_eq!(options.region.region, "local-1");
        assert!(options.gateway_names.is_empty());
        assert_eq!(options.certificates.serving_certificate_lifetime, Duration::from_secs(90 * 86_400));
    }

    #[test]
    fn a_duration_needs_a_unit_and_is_not_negative() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("36h"), Ok(Duration::from_secs(36 * 3600)));
        for wrong in ["20", "", "soon", "-1h", "1y"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn gateway_names_are_repeated_or_separated_by_commas() {
        let arguments =
            ["keystore-operator", "controllers", "--gateway-name", "a.example,b.example", "--gateway-name", "10.0.0.1"];
        let Command::Controllers(options) = Cli::try_parse_from(arguments).unwrap().command else {
            panic!("another subcommand")
        };
        assert_eq!(options.gateway_names, ["a.example", "b.example", "10.0.0.1"]);
    }
}
