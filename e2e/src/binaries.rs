//! Finds the programs that tests run: our own beside the test, the Kubernetes ones in the folder of `make test`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Folder with `kube-apiserver`, `etcd` and `helm`, as `e2e/cluster/binaries.sh` prints it.
pub const FOLDER_VARIABLE: &str = "KEYSTORE_BIN";

/// The program `name` of this workspace, built into the profile folder that also holds the running test.
///
/// # Errors
/// When the file is missing: `cargo test -p e2e` alone does not build the binaries of other packages.
pub fn ours(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("failed to find the running test")?;
    let profile = test.ancestors().nth(2).context("the test lies outside a cargo target folder")?;
    existing(profile.join(name), "run `cargo build --workspace` first, or `make test-integration`, which does")
}

/// The Kubernetes program `name`, from the folder that [`FOLDER_VARIABLE`] names or from `PATH`.
///
/// # Errors
/// When it is in neither place.
pub fn kubernetes(name: &str) -> Result<PathBuf> {
    if let Ok(folder) = std::env::var(FOLDER_VARIABLE) {
        let found = folder.split(':').map(|part| Path::new(part).join(name)).find(|path| path.exists());
        if let Some(path) = found {
            return Ok(path);
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists()) {
        Some(path) => Ok(path),
        None => {
            bail!("{name} is neither in ${FOLDER_VARIABLE} nor in PATH: run `e2e/cluster/binaries.sh all` and set it")
        }
    }
}

/// The root of the checkout that this crate was compiled from.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

fn existing(path: PathBuf, advice: &str) -> Result<PathBuf> {
    if path.exists() { Ok(path) } else { bail!("{} is missing: {advice}", path.display()) }
}
