//! Every way to lose objects that stand for keys, and the plugin that brings them back.
//!
//! The bench has no controller manager, so what the namespace controller does after `kubectl delete namespace` is done here: everything in it is
//! deleted, then the namespace is finalized.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use operator_api::{GROUP, VERSION};
use serde_json::{Value, json};

use crate::binaries::{checkout, ours};
use crate::cluster::Cluster;
use crate::control_plane::client_of;
use crate::crash::VARIABLE;
use crate::installation::Installation;
use crate::kubectl::{kinds_are_served, kubectl};
use crate::quickstart::NAME;
use crate::scenario::PATIENCE;
use crate::supervised::Supervised;
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
/// When the key is still protected after three minutes.
pub async fn break_the_glass(bench: &impl Administered) -> Result<()> {
    bench.kubectl(&["delete", "validatingadmissionpolicybindings", "--all"])?;
    until("the protection to be gone", Duration::from_secs(180), || async {
        let probe = ["delete", "kmskey", NAME, "--namespace", NAME, "--dry-run=server"];
        Ok(bench.kubectl(&probe).map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
    })
    .await
}

/// Deletes the objects of one kind after the other, and waits until all are gone.
///
/// # Errors
/// When one does not go.
pub async fn delete_objects(bench: &impl Administered, kinds: &[&str]) -> Result<()> {
    mark_objects(bench, kinds).await?;
    wait_gone(bench, kinds).await
}

/// Marks the objects of one kind after the other for deletion. What is gone already, with its namespace or its definition, is none.
///
/// # Errors
/// When the API server refuses.
pub async fn mark_objects(bench: &impl Administered, kinds: &[&str]) -> Result<()> {
    let client = client_of(&bench.kubeconfig()).await?;
    for (kind, name) in left(&client, kinds).await? {
        let deleted = objects(&client, kind).delete(&name, &DeleteParams::default()).await;
        unless_gone(deleted).with_context(|| format!("failed to delete {kind} {name}"))?;
    }
    Ok(())
}

/// Takes every finalizer off by hand. Returns how many objects there were.
///
/// # Errors
/// When the API server refuses.
pub async fn strip_finalizers(bench: &impl Administered, kinds: &[&str]) -> Result<usize> {
    let client = client_of(&bench.kubeconfig()).await?;
    let found = left(&client, kinds).await?;
    let none = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    for (kind, name) in &found {
        let stripped = objects(&client, kind).patch(name, &PatchParams::default(), &none).await;
        unless_gone(stripped).with_context(|| format!("failed to take the finalizers off {kind} {name}"))?;
    }
    Ok(found.len())
}

/// Waits until no object of these kinds is left.
///
/// # Errors
/// When one stays for three minutes.
pub async fn wait_gone(bench: &impl Administered, kinds: &[&str]) -> Result<()> {
    let client = client_of(&bench.kubeconfig()).await?;
    let gone = until("the objects to be gone", Duration::from_secs(180), || async {
        Ok(match left(&client, kinds).await {
            Ok(found) if found.is_empty() => Look::Done(()),
            Ok(found) => Look::NotYet(format!("{found:?}")),
            // The storage of a kind is taken down while its definition goes.
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
    });
    gone.await.with_context(|| bench.last_words())
}

/// The objects of a kind in the tenant's namespace, whichever kind it is: only its plural is in their addresses.
fn objects(client: &Client, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, plural);
    Api::namespaced_with(client.clone(), NAME, &ApiResource::from_gvk_with_plural(&kind, plural))
}

/// What there is of these kinds, in their order: kind and name. A kind without a definition has no objects.
async fn left<'a>(client: &Client, kinds: &[&'a str]) -> Result<Vec<(&'a str, String)>> {
    let mut found = Vec::new();
    for kind in kinds {
        match objects(client, kind).list(&ListParams::default()).await {
            Ok(listed) => found.extend(listed.iter().map(|object| (*kind, object.name_any()))),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error).with_context(|| format!("failed to list {kind}")),
        }
    }
    Ok(found)
}

/// A write to an object that may have gone since it was listed.
fn unless_gone<T>(written: Result<T, kube::Error>) -> Result<()> {
    match written {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        written => Ok(written.map(drop)?),
    }
}

/// Marks the tenant's namespace for deletion and deletes what is in it; [`finalize_namespace`] ends it.
///
/// # Errors
/// When the API server refuses.
pub async fn delete_namespace(bench: &impl Administered) -> Result<()> {
    bench.kubectl(&["delete", "namespace", NAME, "--wait=false"])?;
    mark_objects(bench, &KINDS).await?;
    bench.kubectl(&["delete", OTHERS, "--all", "--namespace", NAME, "--wait=false"])?;
    Ok(())
}

/// Waits until the namespace is empty and lets it go.
///
/// # Errors
/// When an object stays.
pub async fn finalize_namespace(installation: &Installation) -> Result<()> {
    wait_gone(installation, &KINDS).await?;
    let raw = format!("/api/v1/namespaces/{NAME}/finalize");
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{NAME}"}},"spec":{{"finalizers":[]}}}}"#
    );
    kubectl(&installation.plane.admin_kubeconfig(), &["replace", "--raw", &raw, "--filename", "-"], Some(&body))?;
    installation.kubectl(&["wait", "--for=delete", &format!("namespace/{NAME}"), "--timeout=180s"])?;
    Ok(())
}

/// Deletes the definitions and with them every object, claims and accounts too; or waits for the end of [`mark_definitions`].
///
/// # Errors
/// When they do not go.
pub fn delete_definitions(bench: &impl Administered) -> Result<()> {
    let folder = checkout().join("crds").display().to_string();
    let deleted = bench.kubectl(&["delete", "--filename", &folder, "--ignore-not-found", "--timeout=180s"]);
    deleted.with_context(|| bench.last_words()).map(drop)
}

/// Marks the definitions for deletion. The API server deletes their objects, and then them.
///
/// # Errors
/// When the API server refuses.
pub fn mark_definitions(bench: &impl Administered) -> Result<()> {
    let folder = checkout().join("crds").display().to_string();
    bench.kubectl(&["delete", "--filename", &folder, "--wait=false"]).map(drop)
}

/// Installs the definitions again.
///
/// # Errors
/// When they are not served in time.
pub async fn restore_definitions(bench: &impl Administered) -> Result<()> {
    let folder = checkout().join("crds").display().to_string();
    bench.kubectl(&["apply", "--server-side", "--filename", &folder])?;
    kinds_are_served(&bench.kubeconfig()).await
}

/// Kills the controllers, as when the release is gone.
pub fn stop_controllers(installation: &mut Installation) {
    installation.kill_controllers();
}

/// Starts controllers afresh without waiting for the dead leader's lease.
///
/// # Errors
/// When they cannot be started.
pub async fn start_controllers(installation: &mut Installation) -> Result<()> {
    installation.free_lease().await?;
    installation.start_controllers(1, &[]).await
}

/// Starts controllers afresh that kill themselves at an effect, as [`crate::crash`] plans it, and waits until they are dead.
///
/// # Errors
/// When they cannot be started, or do not reach the effect.
pub async fn controllers_die_at(installation: &mut Installation, plan: &str) -> Result<()> {
    installation.free_lease().await?;
    installation.start_controllers(2, &[(VARIABLE, plan)]).await?;
    until(&format!("the leader to die at {plan}"), PATIENCE, || {
        let ended = installation.controllers.get(&2).map(Supervised::ended);
        let died = matches!(ended, Some(Ok(Some(_))));
        async move { Ok(if died { Look::Done(()) } else { Look::NotYet("it runs".to_owned()) }) }
    })
    .await
}
