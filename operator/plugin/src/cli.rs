//! Flags: the only place that reads them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Key stores at a glance, and back from the dead.
///
/// Uses your kubeconfig as kubectl does. Exit code 0: everything is as its owner wants it; 1: something is not, or not yet; 2: wrong usage.
#[derive(Debug, Parser)]
#[command(name = "kubectl keystore", bin_name = "kubectl keystore", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which API server, as whom.
#[derive(Debug, Args)]
pub(crate) struct ConnectionOptions {
    /// Kubeconfig file instead of $KUBECONFIG or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig instead of the current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show clusters, HSMs, stores, keys and aliases as one tree: state, what is wrong, what to do next.
    ///
    /// What is wrong and what to do is taken from the conditions of the objects, where the controllers wrote it. A store that its owner wants
    /// disconnected and a key that its owner disabled are not wrong.
    ///
    /// Needs the verb list on cloudhsmclusters, customkeystores, kmskeys and kmsaliases.
    Status(StatusOptions),
    /// Bring back objects that are gone, with their old ids, from the recovery records.
    ///
    /// The controllers record every account, cluster, store, key and alias in ConfigMaps of the vault namespace before they acknowledge it. This
    /// lists the records whose objects are gone and creates the objects again; the controllers then find HSMs and keys by the ids in them. No
    /// new key material is ever made, and no object that exists is changed, except that one that was declared anew without an id gets its old
    /// one. Running it twice is safe.
    ///
    /// Try `kubectl keystore recover --dry-run` first: it changes nothing and shows what would be done.
    ///
    /// Needs: list on configmaps in the vault namespace and on namespaces; list, create, patch and adopt on the kinds; create on namespaces.
    Recover(RecoverOptions),
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// Namespace to show; default: the one of the kubeconfig's context.
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub(crate) namespace: Option<String>,
    /// Show every namespace.
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Tree)]
    pub(crate) output: Format,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; coloured on a terminal.
    Tree,
    /// For programs: the same tree.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct RecoverOptions {
    /// Only what belongs to this namespace; default: everything that is recorded.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Change nothing; show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Bring back also what its owner removed on purpose: aliases, and stores without keys.
    #[arg(long)]
    pub(crate) removed: bool,
    /// Namespace of the recovery records.
    #[arg(long, env = "KEYSTORE_VAULT_NAMESPACE", default_value = "keystore-vault", value_name = "NAMESPACE")]
    pub(crate) vault_namespace: String,
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
    fn one_namespace_and_all_of_them_exclude_each_other() {
        assert!(Cli::try_parse_from(["kubectl-keystore", "status", "-A", "-n", "team-a"]).is_err());
        assert!(Cli::try_parse_from(["kubectl-keystore", "status", "-n", "team-a", "-o", "json"]).is_ok());
    }
}
