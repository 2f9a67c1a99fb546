//! Every way to lose objects that stand for keys, and the plugin that brings them back.
//!
//! The bench has no controller manager, so what the namespace controller does after `kubectl delete namespace` is done here: everything in it is
//! deleted, then the namespace is finalized.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::binaries::{checkout, ours};
use crate::cluster::Cluster;
use crate::installation::Installation;
use crate::kubectl::kubectl;
use crate::quickstart::NAME;
use crate::wait::{Look, until};

/// Our kinds in a tenant's namespace, in the order of reference.
pub const KINDS: [&str; 5] = ["cloudhsmclusters", "customkeystores", "kmskeys", "kmsaliases", "kmsaccesskeys"];
/// What else the quickstart puts there.
const OTHERS: &str = "secrets,roles,rolebindings,configmaps,events";

/// What an administrator has a kubeconfig for: the bench's API server or a cluster.
pub trait Administered {
    /// The administrator's kubeconfig.
    fn kubeconfig(&self) -> PathBuf;

    /// What the product said last, for the message of a failed step.
    fn last_words(&self) -> String;

    /// Runs kubectl as the administrator.
    ///
    /// # Errors
    /// With its error output when it fails.
    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl(&self.kubeconfig(), arguments, None)
    }
}

impl Administered for Installation {
    fn kubeconfig(&self) -> PathBuf {
        self.plane.admin_kubeconfig()
    }

    fn last_words(&self) -> String {
        Self::last_words(self)
    }
}

impl Administered for Cluster {
    fn kubeconfig(&self) -> PathBuf {
        Self::kubeconfig(self).to_owned()
    }

    fn last_words(&self) -> String {
        self.kubectl(&["get", "pods", "--all-namespaces"]).unwrap_or_default()
    }
}

/// Runs `kubectl keystore` as an administrator, whatever it answers.
///
/// # Errors
/// When it cannot be started.
pub fn keystore(bench: &impl Administered, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(ours("kubectl-keystore")?);
    command.args(arguments).env("KUBECONFIG", bench.kubeconfig());
    command.output().context("failed to start kubectl-keystore")
}

/// The same when it must succeed; what it prints.
///
/// # Errors
/// With everything that it printed when its exit code is another than 0.
pub fn keystore_ok(bench: &impl Administered, arguments: &[&str]) -> Result<String> {
    let output = keystore(bench, arguments)?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "kubectl keystore {}: {}\n{out}\n{err}", arguments.join(" "), output.status);
    Ok(out.into_owned())
}

/// `kubectl keystore status -o json`: the trees, and the exit code.
///
/// # Errors
/// When it prints no JSON.
pub fn status(bench: &impl Administered) -> Result<(Value, Option<i32>)> {
    let output = keystore(bench, &["status", "-n", NAME, "-o", "json"])?;
    let tree = serde_json::from_slice(&output.stdout);
    Ok((tree.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?, output.status.code()))
}

/// Takes the protection away, as somebody with the right to do so can, and waits until the API server has noticed.
///
/// # Errors
/// When the key is still protected after half a minute.
pub async fn break_the_glass(bench: &impl Administered) -> Result<()> {
    bench.kubectl(&["delete", "validatingadmissionpolicybindings", "--all"])?;
    until("the protection to be gone", Duration::from_secs(30), || async {
        let probe = ["delete", "kmskey", NAME, "--namespace", NAME, "--dry-run=server"];
        Ok(bench.kubectl(&probe).map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
    })
    .await
}

/// Deletes one object of a kind after the other, and waits until all are gone.
///
/// # Errors
/// When one does not go.
pub fn delete_objects(bench: &impl Administered, kinds: &[&str]) -> Result<()> {
    for kind in kinds {
        bench.kubectl(&["delete", kind, "--all", "--namespace", NAME, "--wait=false"])?;
    }
    wait_gone(bench, kinds)
}

/// Takes every finalizer off by hand.
///
/// # Errors
/// When the API server refuses.
pub fn strip_finalizers(bench: &impl Administered, kinds: &[&str]) -> Result<()> {
    for kind in kinds {
        let named = bench.kubectl(&["get", kind, "--namespace", NAME, "--output=name"])?;
        for object in named.lines() {
            let none = r#"{"metadata":{"finalizers":null}}"#;
            bench.kubectl(&["patch", object, "--namespace", NAME, "--type=merge", "--patch", none])?;
        }
    }
    Ok(())
}

/// Marks the tenant's namespace for deletion and deletes what is in it; [`finalize_namespace`] ends it.
///
/// # Errors
/// When the API server refuses.
pub fn delete_namespace(bench: &impl Administered) -> Result<()> {
    bench.kubectl(&["delete", "namespace", NAME, "--wait=false"])?;
    for kind in KINDS {
        bench.kubectl(&["delete", kind, "--all", "--namespace", NAME, "--wait=false"])?;
    }
    bench.kubectl(&["delete", OTHERS, "--all", "--namespace", NAME, "--wait=false"])?;
    Ok(())
}

/// Waits until the namespace is empty and lets it go.
///
/// # Errors
/// When an object stays.
pub fn finalize_namespace(installation: &Installation) -> Result<()> {
    wait_gone(installation, &KINDS)?;
    let raw = format!("/api/v1/namespaces/{NAME}/finalize");
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{NAME}"}},"spec":{{"finalizers":[]}}}}"#
    );
    kubectl(&installation.plane.admin_kubeconfig(), &["replace", "--raw", &raw, "--filename", "-"], Some(&body))?;
    installation.kubectl(&["wait", "--for=delete", &format!("namespace/{NAME}"), "--timeout=30s"])?;
    Ok(())
}

fn wait_gone(bench: &impl Administered, kinds: &[&str]) -> Result<()> {
    for kind in kinds {
        let all = bench.kubectl(&["wait", "--for=delete", kind, "--all", "--namespace", NAME, "--timeout=90s"]);
        // Nothing of the kind is there any more.
        if let Err(error) = all {
            ensure!(error.to_string().contains("no matching resources"), "{error}\n{}", bench.last_words());
        }
    }
    Ok(())
}

/// Deletes the definitions and with them every object, claims and accounts too.
///
/// # Errors
/// When they do not go.
pub fn delete_definitions(bench: &impl Administered) -> Result<()> {
    let folder = checkout().join("crds").display().to_string();
    let deleted = bench.kubectl(&["delete", "--filename", &folder, "--timeout=120s"]);
    deleted.with_context(|| bench.last_words()).map(|_| ())
}

/// Installs the definitions again.
///
/// # Errors
/// When they are not served within half a minute.
pub fn restore_definitions(bench: &impl Administered) -> Result<()> {
    let folder = checkout().join("crds").display().to_string();
    bench.kubectl(&["apply", "--server-side", "--filename", &folder])?;
    bench.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])?;
    Ok(())
}

/// Kills the controllers, as when the release is gone.
pub fn stop_controllers(installation: &mut Installation) {
    installation.controllers.clear();
}

/// Starts controllers afresh without waiting for the dead leader's lease.
///
/// # Errors
/// When they cannot be started.
pub async fn start_controllers(installation: &mut Installation) -> Result<()> {
    installation.free_lease().await?;
    installation.start_controllers(1, &[]).await
}
