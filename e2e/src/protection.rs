//! One API server with the chart's admission policies in force and an object of every protected kind.

use std::path::PathBuf;

use anyhow::Result;

use crate::control_plane::ControlPlane;
use crate::installation::render_chart;
use crate::kubectl::kubectl;
use crate::wait::{Look, until};

/// Acts as the controllers.
pub const CONTROLLERS: &str = "--as=system:serviceaccount:keystore-system:keystore-operator";
/// Acts as the gateway.
pub const GATEWAY: &str = "--as=system:serviceaccount:keystore-gateway:keystore-gateway";
/// A tenant who may do everything with the objects of the namespace, and has none of our custom verbs.
pub const TENANT: &str = "--as=tenant";

const OBJECTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: tenant}
rules:
  - {apiGroups: [keystores.dev], resources: [kmskeys, customkeystores, kmsaccesskeys], verbs: [get, list, create, update, patch, delete, deletecollection]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: tenant}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tenant}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: tenant}]
---
apiVersion: keystores.dev/v1alpha1
kind: KeystoreAccount
metadata: {name: "111122223333"}
spec: {namespace: team-a}
---
apiVersion: keystores.dev/v1alpha1
kind: KmsKey
metadata: {name: with-material, namespace: team-a}
spec: {customKeyStoreRef: {name: store}, keyId: 11111111-1111-4111-8111-111111111111}
---
apiVersion: keystores.dev/v1alpha1
kind: KmsKey
metadata: {name: without-material, namespace: team-a}
spec: {customKeyStoreRef: {name: store}}
---
apiVersion: keystores.dev/v1alpha1
kind: CustomKeyStore
metadata: {name: store, namespace: team-a}
spec: {cloudHsmClusterRef: {name: cluster}, customKeyStoreId: cks-0123456789abcdef0}
---
apiVersion: keystores.dev/v1alpha1
kind: CloudHsmCluster
metadata: {name: cluster, namespace: team-a}
spec: {availabilityZones: [local-1a, local-1b], recovery: {waived: true}, clusterId: cluster-abcdefgh234567ab}
---
apiVersion: v1
kind: Secret
metadata: {name: cluster-abcdefgh234567ab-kmsuser, namespace: keystore-vault}
data: {ring: bm90IGEgcmVhbCBvbmU=}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kmskey.team-a.with-material, namespace: keystore-vault}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume-of-an-hsm}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  csi: {driver: bench.keystores.dev, volumeHandle: one}
  claimRef: {kind: PersistentVolumeClaim, namespace: keystore-hsm, name: data-cluster-abcdefgh234567ab-0}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume-of-somebody-else}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  csi: {driver: bench.keystores.dev, volumeHandle: two}
  claimRef: {kind: PersistentVolumeClaim, namespace: team-a, name: data}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-cluster-abcdefgh234567ab-0, namespace: keystore-hsm}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: cluster-abcdefgh234567ab, namespace: keystore-hsm}
spec:
  serviceName: cluster-abcdefgh234567ab
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: hsm, image: hsm-sim}]}}
"#;

/// One command for each policy, which it refuses once it is in force.
const PROBES: [&str; 16] = [
    "delete kmskey/with-material -n team-a",
    "delete customkeystore/store -n team-a",
    "delete cloudhsmcluster/cluster -n team-a",
    "delete keystoreaccount/111122223333",
    "delete crd/kmskeys.keystores.dev",
    "delete namespace/team-a",
    "delete namespace/keystore-vault",
    "delete secret/cluster-abcdefgh234567ab-kmsuser -n keystore-vault",
    "delete configmap/kmskey.team-a.with-material -n keystore-vault",
    "delete pvc/data-cluster-abcdefgh234567ab-0 -n keystore-hsm",
    "delete statefulset/cluster-abcdefgh234567ab -n keystore-hsm",
    "delete pv/volume-of-an-hsm",
    "patch secret/cluster-abcdefgh234567ab-kmsuser -n keystore-vault --type=merge --patch {\"data\":null}",
    "patch pv/volume-of-an-hsm --type=merge --patch {\"spec\":{\"persistentVolumeReclaimPolicy\":\"Delete\"}}",
    "patch kmskey/without-material -n team-a --as=tenant --type=merge --patch {\"spec\":{\"keyId\":\"22222222-2222-4222-8222-222222222222\"}}",
    "patch customkeystore/store -n team-a --as=tenant --type=merge --patch {\"spec\":{\"hold\":{\"requestedBy\":\"arn:aws:iam::111122223333:user/app\",\"requestedAt\":\"2026-01-01T00:00:00Z\"}}}",
];

/// The API server, until it is dropped.
#[derive(Debug)]
pub struct Protected {
    admin: PathBuf,
    _plane: ControlPlane,
}

impl Protected {
    /// Starts it and waits until the policies refuse.
    ///
    /// # Errors
    /// When the chart or an object is not accepted.
    pub async fn start() -> Result<Self> {
        let plane = ControlPlane::start().await?;
        let bench = Self { admin: plane.admin_kubeconfig(), _plane: plane };
        bench.run(&["apply", "--server-side", "-f", "-"], Some(&render_chart()?))?;
        bench.run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"], None)?;
        bench.run(&["apply", "--server-side", "-f", "-"], Some(OBJECTS))?;
        bench.policies_are_in_force().await?;
        Ok(bench)
    }

    /// Runs kubectl as an administrator.
    ///
    /// # Errors
    /// With its words.
    pub fn run(&self, arguments: &[&str], input: Option<&str>) -> Result<String> {
        kubectl(&self.admin, arguments, input)
    }

    /// The API server learns of new policies by a watch, of each one by itself; until then it refuses nothing.
    async fn policies_are_in_force(&self) -> Result<()> {
        for probe in PROBES {
            until("the policies to be in force", std::time::Duration::from_secs(60), || async {
                let arguments: Vec<_> = probe.split(' ').chain(["--dry-run=server"]).collect();
                Ok(match self.run(&arguments, None) {
                    Err(error) if error.to_string().contains("denied request") => Look::Done(()),
                    Err(error) => Look::NotYet(error.to_string()),
                    Ok(answer) => Look::NotYet(format!("{probe}: {answer}")),
                })
            })
            .await?;
        }
        Ok(())
    }

    /// Asserts that a policy refuses.
    ///
    /// # Panics
    /// When it is accepted, or refused for another reason than a policy.
    pub fn refused(&self, what: &str, arguments: &[&str], input: Option<&str>) {
        match self.run(arguments, input) {
            Ok(answer) => panic!("{what} was accepted: {answer}"),
            Err(error) => {
                assert!(error.to_string().contains("denied request"), "{what}: refused for another reason: {error}");
            }
        }
    }
}
