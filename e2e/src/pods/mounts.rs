//! Puts the Secrets and the volume that a pod template mounts where the process can read them.

use std::path::Path;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Container, PodSpec, Secret, VolumeMount};
use kube::{Api, Client};

use super::template::{Mounts, PodFacts, expand};

/// Writes what the container mounts below `folder` and returns where each mount path went. `volume` stands in for
/// whatever is neither a Secret nor an empty directory: the claim of the volume claim template.
pub(crate) async fn write(
    client: &Client,
    spec: &PodSpec,
    container: &Container,
    pod: &PodFacts<'_>,
    folder: &Path,
    volume: &Path,
) -> Result<Mounts> {
    let volumes = spec.volumes.clone().unwrap_or_default();
    let mut mounts = Mounts::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let source = volumes.iter().find(|volume| volume.name == mount.name);
        let place = folder.join(index.to_string());
        if let Some(secret) = source.and_then(|source| source.secret.as_ref()) {
            let name = secret.secret_name.as_deref().context("a secret volume without a name")?;
            let secrets: Api<Secret> = Api::namespaced(client.clone(), pod.namespace);
            let secret = secrets.get(name).await.with_context(|| format!("failed to mount Secret {name}"))?;
            write_secret(&secret, mount, &sub_path(mount, container, pod), &place)?;
            mounts.insert(mount.mount_path.clone(), place);
        } else if source.is_some() {
            std::fs::create_dir_all(&place)?;
            mounts.insert(mount.mount_path.clone(), place);
        } else {
            mounts.insert(mount.mount_path.clone(), volume.to_owned());
        }
    }
    Ok(mounts)
}

fn sub_path(mount: &VolumeMount, container: &Container, pod: &PodFacts<'_>) -> Option<String> {
    let text = mount.sub_path_expr.as_ref().or(mount.sub_path.as_ref())?;
    Some(expand(text, container, pod))
}

fn write_secret(secret: &Secret, mount: &VolumeMount, key: &Option<String>, place: &Path) -> Result<()> {
    let data = secret.data.clone().unwrap_or_default();
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if let Some(key) = key {
        let value = data.get(key).with_context(|| format!("{} needs the missing entry {key}", mount.mount_path))?;
        return std::fs::write(place, &value.0).context("failed to write a mounted file");
    }
    std::fs::create_dir_all(place)?;
    for (key, value) in &data {
        std::fs::write(place.join(key), &value.0)?;
    }
    Ok(())
}
