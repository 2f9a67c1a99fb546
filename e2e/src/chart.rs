//! The chart of this tree, as Helm renders it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodSpec;
use serde::Deserialize;

use crate::binaries::{checkout, kubernetes};
use crate::installation::RELEASE;
use crate::kubectl::{kinds_are_served, kubectl};

/// Its folder.
#[must_use]
pub fn folder() -> PathBuf {
    checkout().join("charts/keystore-operator")
}

/// What `helm template` makes of the chart with its default values. The release is in `default`, as `make demo` installs it: the chart makes
/// its own namespaces, but not the release's.
///
/// # Errors
/// When helm fails.
pub fn render_chart() -> Result<String> {
    let output = Command::new(kubernetes("helm")?)
        .args(["template", RELEASE])
        .arg(folder())
        .output()
        .context("failed to start helm")?;
    if !output.status.success() {
        bail!("helm template failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Applies the chart as an administrator, and waits until its kinds are served. Returns what was applied.
///
/// Not validated field by field: for that kubectl asks for the schemas of every API that there is, and the API server has to make them.
/// `tests/integration/chart.rs` does it, once for all.
///
/// # Errors
/// With the API server's words when it refuses an object.
pub async fn apply_chart(kubeconfig: &Path) -> Result<String> {
    let rendered = render_chart()?;
    kubectl(kubeconfig, &["apply", "--server-side", "--validate=false", "-f", "-"], Some(&rendered))?;
    kinds_are_served(kubeconfig).await?;
    Ok(rendered)
}

/// The pods of its Deployments, by name.
///
/// # Errors
/// When one of them cannot be read.
pub(crate) fn deployments_of(rendered: &str) -> Result<BTreeMap<String, PodSpec>> {
    let mut found = BTreeMap::new();
    for document in rendered.split("\n---") {
        #[derive(Deserialize)]
        struct Kind {
            kind: Option<String>,
        }
        let kind = serde_saphyr::from_str::<Kind>(document).ok().and_then(|kind| kind.kind);
        if kind.as_deref() == Some("Deployment") {
            let deployment: Deployment = serde_saphyr::from_str(document).context("failed to read a Deployment")?;
            let spec = deployment.spec.and_then(|spec| spec.template.spec).context("a Deployment without pods")?;
            found.insert(deployment.metadata.name.unwrap_or_default(), spec);
        }
    }
    Ok(found)
}
