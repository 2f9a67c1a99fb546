//! Who owns which field: the field manager names of server-side apply, one per writer (resources.md, "One writer per field").

/// The gateway, for what an AWS API call asks for.
pub const KMS_API: &str = "kms-api";
/// Controller of `CloudHsmCluster`: status and the objects it makes.
pub const CLOUD_HSM_CLUSTER: &str = "keystore-operator/cloud-hsm-cluster";
/// Controller of `CustomKeyStore`.
pub const CUSTOM_KEY_STORE: &str = "keystore-operator/custom-key-store";
/// Controller of `KmsKey`.
pub const KMS_KEY: &str = "keystore-operator/kms-key";
/// Controller of `KmsAlias`.
pub const KMS_ALIAS: &str = "keystore-operator/kms-alias";
/// Controller of `KmsAccessKey`.
pub const KMS_ACCESS_KEY: &str = "keystore-operator/kms-access-key";
/// Controller of `KeystoreAccount`.
pub const KEYSTORE_ACCOUNT: &str = "keystore-operator/keystore-account";
/// Suffix of the manager that writes set-once identity into `spec`, so that it never mixes with an applied manifest.
pub const IDENTITY: &str = "keystore-operator/identity";
