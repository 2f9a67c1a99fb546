//! What an HSM pod mounts: its own volume, its own certificate, the sealing share.

use hsm_initialization::custody::SecretName;
use hsm_initialization::custody::entry::{OPERATOR_CA, SHARE};
use k8s_openapi::api::core::v1::{
    KeyToPath, PersistentVolumeClaim, PersistentVolumeClaimSpec, SecretVolumeSource, Volume, VolumeMount,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ObjectMeta;

use super::super::{Desired, all_labels};
use super::DATA;

/// Where the program finds its files.
pub(super) const DATA_DIR: &str = "/data";
pub(super) const CERTIFICATE: &str = "/etc/hsm/pod.crt";
pub(super) const PRIVATE_KEY: &str = "/etc/hsm/pod.key";
pub(super) const AUTHORITY: &str = "/etc/hsm/operator-ca.crt";
pub(super) const SEALING_SHARE: &str = "/etc/hsm-sealing/share";

/// One pod per volume (`INV-73`): `ReadWriteOncePod`.
pub(super) fn claim(desired: &Desired) -> PersistentVolumeClaim {
    let size = Quantity(desired.storage_size.clone());
    let spec = PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOncePod".into()]),
        storage_class_name: desired.storage_class.clone(),
        resources: Some(VolumeResourceRequirements {
            requests: Some([("storage".to_owned(), size)].into()),
            limits: None,
        }),
        ..PersistentVolumeClaimSpec::default()
    };
    let metadata = ObjectMeta { name: Some(DATA.into()), labels: Some(all_labels(desired)), ..ObjectMeta::default() };
    PersistentVolumeClaim { metadata, spec: Some(spec), status: None }
}

pub(super) fn volumes(desired: &Desired) -> Vec<Volume> {
    vec![
        secret("pods", SecretName::Pods.of(&desired.cluster_id), None),
        secret("sealing", SecretName::SealingShare.of(&desired.cluster_id), Some(SHARE)),
    ]
}

/// Readable by the pod's group only, which `fsGroup` makes the owner of the files.
fn secret(name: &str, secret_name: String, only: Option<&str>) -> Volume {
    let items = only.map(|key| vec![KeyToPath { key: key.into(), path: key.into(), mode: None }]);
    let source =
        SecretVolumeSource { secret_name: Some(secret_name), default_mode: Some(0o440), optional: Some(false), items };
    Volume { name: name.into(), secret: Some(source), ..Volume::default() }
}

/// `subPathExpr` shows each pod its own certificate and key, although one Secret has them all.
pub(super) fn mounts() -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let own = |path: &str, suffix: &str| VolumeMount {
        sub_path_expr: Some(format!("$(POD_NAME).{suffix}")),
        ..mount("pods", path)
    };
    vec![
        VolumeMount { read_only: None, ..mount(DATA, DATA_DIR) },
        own(CERTIFICATE, "crt"),
        own(PRIVATE_KEY, "key"),
        VolumeMount { sub_path: Some(OPERATOR_CA.into()), ..mount("pods", AUTHORITY) },
        mount("sealing", "/etc/hsm-sealing"),
    ]
}
