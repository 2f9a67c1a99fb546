//! `kubectl keystore status`: reads the objects, makes the tree, prints it.

mod facts;
mod render;
mod tree;

use anyhow::Result;
use operator_api::{CloudHsmCluster, CustomKeyStore, KmsAlias, KmsKey};

use self::tree::{Node, Objects, is_well, tree};
use crate::api_server::ApiServer;
use crate::cli::{Format, StatusOptions};

/// Whether nothing is wrong.
pub(crate) async fn run(server: &ApiServer, options: &StatusOptions) -> Result<bool> {
    let one = options.namespace.as_deref().unwrap_or(server.default_namespace());
    let namespace = (!options.all_namespaces).then_some(one);
    let objects = Objects {
        clusters: server.list::<CloudHsmCluster>(namespace).await?,
        stores: server.list::<CustomKeyStore>(namespace).await?,
        keys: server.list::<KmsKey>(namespace).await?,
        aliases: server.list::<KmsAlias>(namespace).await?,
    };
    let nodes = tree(&objects);
    print(&nodes, options.output, namespace)?;
    Ok(is_well(&nodes))
}

fn print(nodes: &[Node], format: Format, namespace: Option<&str>) -> Result<()> {
    match format {
        Format::Json => anstream::println!("{}", serde_json::to_string_pretty(nodes)?),
        Format::Tree if nodes.is_empty() => {
            let place = namespace.map_or_else(|| "any namespace".to_owned(), |name| format!("namespace {name}"));
            anstream::println!(
                "No clusters, stores or keys in {place}. If there should be some: kubectl keystore recover --dry-run"
            );
        }
        Format::Tree => render::lines(nodes).iter().for_each(|line| anstream::println!("{line}")),
    }
    Ok(())
}
