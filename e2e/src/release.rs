//! The product as a Helm release of a cluster: installed as the tests want it, upgraded, rolled back, uninstalled.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::binaries::kubernetes;
use crate::chart::folder;
use crate::cluster::Cluster;
use crate::installation::RELEASE;
use crate::kubectl::kubectl;

/// Where `make demo` puts the release too; the chart makes its own namespaces.
const NAMESPACE: [&str; 2] = ["--namespace", "default"];
/// Until every Deployment is ready, or the pods are gone.
const WAIT: [&str; 3] = ["--wait", "--timeout", "10m"];

fn chart() -> String {
    folder().display().to_string()
}

/// The tag of an image that `make e2e` loaded, by the variable that holds it.
pub(crate) fn tag(variable: &str) -> Result<String> {
    std::env::var(variable).with_context(|| format!("{variable} is not set: run `make e2e`"))
}

/// The images that `make e2e` loaded, and how the gateway is reached.
fn values() -> Result<String> {
    Ok(format!(
        "image.tag={},hsmImage.tag={},gateway.service.type=NodePort,gateway.service.nodePort=30443{}",
        tag("E2E_OPERATOR_TAG")?,
        tag("E2E_HSM_TAG")?,
        std::env::var("E2E_VALUES").map(|more| format!(",{more}")).unwrap_or_default()
    ))
}

impl Cluster {
    /// `helm upgrade --install`, waiting until every replica is ready.
    ///
    /// # Errors
    /// When a Deployment does not become ready.
    pub fn install(&self) -> Result<()> {
        let chart = chart();
        let order = ["upgrade", "--install", RELEASE, &chart, "--history-max", "3"];
        self.helm(&[&order[..], &NAMESPACE, &WAIT].concat(), &values()?).map(drop)
    }

    /// The same where an earlier test, or a release of another tree, has left anything else: Helm would write every object anew and take ten
    /// seconds and more over it.
    ///
    /// # Errors
    /// As [`Cluster::install`].
    pub fn make_sure_it_is_installed(&self) -> Result<()> {
        if self.is_installed()? { self.deployments_are_ready() } else { self.install() }
    }

    /// Whether the release succeeded last with this very chart and these values, and nobody has changed or deleted an object of it since.
    fn is_installed(&self) -> Result<bool> {
        // Not there is one reason to fail; `install` finds out about the others.
        let status = self.helm(&[&["status", RELEASE, "--output=json"][..], &NAMESPACE].concat(), "");
        let release: Value = status.map_or(Ok(Value::Null), |text| serde_json::from_str(&text))?;
        let chart = chart();
        let rendered = self.helm(&[&["template", RELEASE, &chart][..], &NAMESPACE].concat(), &values()?)?;
        let same = release["manifest"].as_str().is_some_and(|manifest| manifest.trim() == rendered.trim());
        if !same || release["info"]["status"] != "deployed" {
            return Ok(false);
        }
        // It fails when there is a difference.
        Ok(kubectl(self.kubeconfig(), &["diff", "--filename=-"], Some(&rendered)).is_ok())
    }

    /// `helm upgrade` of the installed release with `values` besides, waiting until every replica is the new one.
    ///
    /// # Errors
    /// When a Deployment does not become ready.
    pub fn upgrade(&self, values: &str) -> Result<()> {
        let chart = chart();
        let order = ["upgrade", RELEASE, &chart, "--reuse-values"];
        self.helm(&[&order[..], &NAMESPACE, &WAIT].concat(), values).map(drop)
    }

    /// `helm rollback` to the revision before, waiting until every replica is the old one again.
    ///
    /// # Errors
    /// When a Deployment does not become ready.
    pub fn rollback(&self) -> Result<()> {
        self.helm(&[&["rollback", RELEASE][..], &NAMESPACE, &WAIT].concat(), "").map(drop)
    }

    /// `helm uninstall`, waiting until the pods are gone.
    ///
    /// # Errors
    /// When Helm fails.
    pub fn uninstall(&self) -> Result<()> {
        self.helm(&[&["uninstall", RELEASE][..], &NAMESPACE, &WAIT].concat(), "").map(drop)
    }

    /// Runs Helm and returns what it prints.
    fn helm(&self, arguments: &[&str], values: &str) -> Result<String> {
        let mut command = Command::new(kubernetes("helm")?);
        command.args(arguments).env("KUBECONFIG", self.kubeconfig());
        if !values.is_empty() {
            command.args(["--set", values]);
        }
        let output = command.output().context("failed to start helm")?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        let pods = self.kubectl(&["get", "pods", "--all-namespaces"]).unwrap_or_default();
        bail!("helm {} failed: {}\n{pods}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))
    }
}
