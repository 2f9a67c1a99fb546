//! kubectl, with a kubeconfig of the bench.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::binaries::kubernetes;
use crate::wait::{Look, until};

/// Applies manifests with a kubeconfig.
///
/// # Errors
/// With the API server's words when it refuses one.
pub fn apply(kubeconfig: &Path, manifests: &str) -> Result<()> {
    kubectl(kubeconfig, &["apply", "--server-side", "-f", "-"], Some(manifests)).map(|_| ())
}

/// Waits until the API server serves every kind that is defined: for a moment after it took the definitions it knows none of them.
///
/// # Errors
/// When one of them is not served within three minutes.
pub async fn kinds_are_served(kubeconfig: &Path) -> Result<()> {
    let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    // Repeated: kubectl gives up at once on a definition that shows no conditions yet.
    until("the kinds to be served", Duration::from_secs(180), || async {
        Ok(kubectl(kubeconfig, &wait, None).map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
    })
    .await
}

/// Runs kubectl with a kubeconfig; returns what it prints.
///
/// # Errors
/// With its error output when it fails.
pub fn kubectl(kubeconfig: &Path, arguments: &[&str], input: Option<&str>) -> Result<String> {
    let mut child = Command::new(kubernetes("kubectl")?)
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start kubectl")?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), input) {
        pipe.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("kubectl {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
