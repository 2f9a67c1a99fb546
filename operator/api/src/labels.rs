//! Labels, annotations and finalizers that our objects carry; other programs and policies select by them.

/// Label: the `clusterId` that an object belongs to.
pub const CLUSTER_ID: &str = "keystores.dev/cluster-id";
/// Label: the zone of the HSM that a pod or volume belongs to.
pub const AVAILABILITY_ZONE: &str = "keystores.dev/availability-zone";
/// Label, value `"true"`: Secrets of access keys in the gateway's namespace; the gateway lists by it.
pub const ACCESS_KEY: &str = "keystores.dev/access-key";
/// Label: the tenant namespace that an object outside of it serves.
pub const TENANT_NAMESPACE: &str = "keystores.dev/namespace";
/// Label: the tenant object's name.
pub const TENANT_NAME: &str = "keystores.dev/name";
/// Label, value the kind in lower case: ConfigMaps with recovery records; `kubectl keystore recover` lists by it (D5).
pub const RECOVERY_RECORD: &str = "keystores.dev/recovery-record";
/// Recommended label: which program the pod runs.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// Recommended label: which program made the object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Value of [`APP_NAME`] on HSM pods.
pub const APP_HSM_SIM: &str = "hsm-sim";
/// Value of [`MANAGED_BY`] on everything that the controllers make.
pub const OPERATOR: &str = "keystore-operator";
/// Value of labels that are only ever present or absent.
pub const TRUE: &str = "true";

/// Annotation that, set to `"true"` by someone with the custom verb `unprotect`, lets a protected object be deleted (D5).
pub const UNPROTECT: &str = "keystores.dev/unprotect";

/// Label that Kubernetes sets on nodes: the zone.
pub const TOPOLOGY_ZONE: &str = "topology.kubernetes.io/zone";

/// Finalizer on `KmsKey`: material may exist behind the object (P2 step 1).
pub const KEY_FINALIZER: &str = "keystores.dev/key-material";
/// Finalizer on `CustomKeyStore`: a claim, a connection or keys may exist behind the object.
pub const STORE_FINALIZER: &str = "keystores.dev/custom-key-store";
/// Finalizer on `CloudHsmCluster`: HSMs with key material may exist behind the object.
pub const CLUSTER_FINALIZER: &str = "keystores.dev/hsm-cluster";
/// Finalizer on `KmsAlias`: its recovery record has to learn that it was removed on purpose.
pub const ALIAS_FINALIZER: &str = "keystores.dev/alias";
/// Finalizer on `KmsAccessKey`: the gateway's copy of the secret goes before the object does.
pub const ACCESS_KEY_FINALIZER: &str = "keystores.dev/access-key";
