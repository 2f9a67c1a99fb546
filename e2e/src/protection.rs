//! One API server with the chart's admission policies in force and an object of every protected kind.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use self::Permitted::{By, Else};
use crate::control_plane::ControlPlane;
use crate::installation::render_chart;
use crate::kubectl::{kinds_are_served, kubectl};
use crate::wait::{Look, until};

/// Acts as the controllers.
pub const CONTROLLERS: &str = "--as=system:serviceaccount:keystore-system:keystore-operator";
/// Acts as the gateway.
pub const GATEWAY: &str = "--as=system:serviceaccount:keystore-gateway:keystore-gateway";
/// A tenant who may do everything with the objects of the namespace, and has none of our custom verbs.
pub const TENANT: &str = "--as=tenant";

/// What a policy must let pass; one that refused everything would be no less broken than one that refuses nothing.
#[derive(Clone, Copy, Debug)]
pub enum Permitted {
    /// The same command by this identity; of several `--as`, kubectl takes the last.
    By(&'static str),
    /// This command instead, on something that is not protected or in a way that loses nothing.
    Else(&'static str),
}

const OBJECTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: tenant}
rules:
  - {apiGroups: [keystores.dev], resources: [kmskeys, customkeystores, cloudhsmclusters, kmsaccesskeys], verbs: [get, list, create, update, patch, delete, deletecollection]}
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
apiVersion: keystores.dev/v1alpha1
kind: KeystoreClaim
metadata: {name: name-team-a-store, namespace: keystore-system}
spec: {purpose: StoreName, value: store, holderUid: uid, holderNamespace: team-a, holderName: store}
---
apiVersion: v1
kind: Secret
metadata: {name: cluster-abcdefgh234567ab-kmsuser, namespace: keystore-vault}
data: {ring: bm90IGEgcmVhbCBvbmU=}
---
apiVersion: v1
kind: Secret
metadata: {name: cluster-abcdefgh234567ab-sealing, namespace: keystore-hsm}
data: {share: bm90IGEgcmVhbCBvbmU=}
---
apiVersion: v1
kind: Secret
metadata: {name: gateway-serving, namespace: keystore-gateway}
data: {tls.key: bm90IGEgcmVhbCBvbmU=}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kmskey.team-a.with-material, namespace: keystore-vault}
data: {record: "{}"}
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

/// What no policy protects: each stands for nothing, is in nobody's namespace or is unprotected already.
const UNPROTECTED: &str = r#"
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: team-b}}
  - apiVersion: keystores.dev/v1alpha1
    kind: KeystoreAccount
    metadata: {name: "444455556666", annotations: {"keystores.dev/unprotect": "true"}}
    spec: {namespace: gone}
  - {apiVersion: keystores.dev/v1alpha1, kind: CustomKeyStore, metadata: {name: new, namespace: team-a}, spec: {cloudHsmClusterRef: {name: new}}}
  - {apiVersion: keystores.dev/v1alpha1, kind: CloudHsmCluster, metadata: {name: new, namespace: team-a}, spec: {availabilityZones: [local-1a], recovery: {waived: true}}}
  - {apiVersion: keystores.dev/v1alpha1, kind: KmsAccessKey, metadata: {name: new, namespace: team-a}, spec: {description: mine}}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: keystore-vault}}
  - {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: team-a}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
  - apiVersion: apps/v1
    kind: StatefulSet
    metadata: {name: theirs, namespace: team-a}
    spec: {serviceName: a, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}
  - apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {name: things.example.org}
    spec: {group: example.org, scope: Namespaced, names: {kind: Thing, plural: things}, versions: [
      {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}
"#;

/// One attempt on each policy: its name without `.keystores.dev`, a command that it refuses, and what it lets pass.
pub const ATTEMPTS: [(&str, &str, Permitted); 19] = [
    ("delete-kmskeys", "delete kmskey/with-material -n team-a", Else("delete kmskey/without-material -n team-a")),
    ("delete-customkeystores", "delete customkeystore/store -n team-a", Else("delete customkeystore/new -n team-a")),
    (
        "delete-cloudhsmclusters",
        "delete cloudhsmcluster/cluster -n team-a",
        Else("delete cloudhsmcluster/new -n team-a"),
    ),
    ("delete-keystoreaccounts", "delete keystoreaccount/111122223333", Else("delete keystoreaccount/444455556666")),
    ("delete-keystoreclaims", "delete keystoreclaim/name-team-a-store -n keystore-system", By(CONTROLLERS)),
    ("delete-definitions", "delete crd/kmskeys.keystores.dev", Else("delete crd/things.example.org")),
    ("delete-namespaces", "delete namespace/keystore-vault", Else("delete namespace/team-b")),
    ("delete-account-namespaces", "delete namespace/team-a", Else("delete namespace/team-b")),
    (
        "delete-configmaps",
        "delete configmap/kmskey.team-a.with-material -n keystore-vault",
        Else("delete configmap/kube-root-ca.crt -n keystore-vault"),
    ),
    ("delete-statefulsets", "delete sts/cluster-abcdefgh234567ab -n keystore-hsm", Else("delete sts/theirs -n team-a")),
    (
        "delete-persistentvolumeclaims",
        "delete pvc/data-cluster-abcdefgh234567ab-0 -n keystore-hsm",
        Else("delete pvc/data -n team-a"),
    ),
    ("delete-secrets", "delete secret/gateway-serving -n keystore-gateway", By(CONTROLLERS)),
    (
        "change-secrets",
        r#"patch secret/cluster-abcdefgh234567ab-sealing -n keystore-hsm --type=merge --patch {"data":null}"#,
        Else("label secret/cluster-abcdefgh234567ab-sealing -n keystore-hsm mine=yes"),
    ),
    (
        "change-configmaps",
        r#"patch configmap/kmskey.team-a.with-material -n keystore-vault --type=merge --patch {"data":null}"#,
        Else("label configmap/kmskey.team-a.with-material -n keystore-vault mine=yes"),
    ),
    (
        "retain-persistentvolumes",
        r#"patch pv/volume-of-an-hsm --type=merge --patch {"spec":{"persistentVolumeReclaimPolicy":"Delete"}}"#,
        Else("delete pv/volume-of-somebody-else"),
    ),
    (
        "adopt-kmskeys",
        "patch kmskey/without-material -n team-a --as=tenant --type=merge \
         --patch {\"spec\":{\"keyId\":\"22222222-2222-4222-8222-222222222222\"}}",
        By(CONTROLLERS),
    ),
    (
        "adopt-customkeystores",
        "patch customkeystore/new -n team-a --as=tenant --type=merge \
         --patch {\"spec\":{\"customKeyStoreId\":\"cks-22222222222222222\"}}",
        By(CONTROLLERS),
    ),
    (
        "adopt-cloudhsmclusters",
        "patch cloudhsmcluster/new -n team-a --as=tenant --type=merge \
         --patch {\"spec\":{\"clusterId\":\"cluster-2222222222222222\"}}",
        By(CONTROLLERS),
    ),
    (
        "adopt-kmsaccesskeys",
        "patch kmsaccesskey/new -n team-a --as=tenant --type=merge \
         --patch {\"spec\":{\"accessKeyId\":\"AKIA2222222222222222\"}}",
        By(CONTROLLERS),
    ),
];

/// How the API server puts it that this policy refuses.
#[must_use]
pub fn refusal_by(policy: &str) -> String {
    format!("ValidatingAdmissionPolicy '{policy}.keystores.dev' with binding '{policy}.keystores.dev' denied request")
}

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
        kinds_are_served(&bench.admin).await?;
        bench.run(&["apply", "--server-side", "-f", "-"], Some(&format!("{OBJECTS}---{UNPROTECTED}")))?;
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

    /// Tries one of [`ATTEMPTS`] without doing it, as `who` where that is said.
    ///
    /// # Errors
    /// With kubectl's words.
    pub fn attempt(&self, command: &str, who: Option<&str>) -> Result<String> {
        let arguments: Vec<_> = command.split(' ').chain(who).chain(["--dry-run=server"]).collect();
        self.run(&arguments, None)
    }

    /// The API server learns of new policies by a watch, of each one by itself; until then it refuses nothing.
    async fn policies_are_in_force(&self) -> Result<()> {
        for (policy, refused, _) in ATTEMPTS {
            until("the policies to be in force", Duration::from_secs(60), || async {
                Ok(match self.attempt(refused, None) {
                    Err(error) if error.to_string().contains(&refusal_by(policy)) => Look::Done(()),
                    Err(error) => Look::NotYet(error.to_string()),
                    Ok(answer) => Look::NotYet(format!("{refused}: {answer}")),
                })
            })
            .await?;
        }
        Ok(())
    }

    /// Asserts that a policy refuses; returns the API server's words.
    ///
    /// # Panics
    /// When it is accepted, or refused for another reason than a policy.
    pub fn refused(&self, what: &str, arguments: &[&str], input: Option<&str>) -> String {
        match self.run(arguments, input) {
            Ok(answer) => panic!("{what} was accepted: {answer}"),
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("denied request"), "{what}: refused for another reason: {said}");
                said
            }
        }
    }
}
