//! kubectl, with a kubeconfig of the bench.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::binaries::kubernetes;

/// Applies manifests with a kubeconfig.
///
/// # Errors
/// With the API server's words when it refuses one.
pub fn apply(kubeconfig: &Path, manifests: &str) -> Result<()> {
    kubectl(kubeconfig, &["apply", "--server-side", "-f", "-"], Some(manifests)).map(|_| ())
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
