//! operator-api: the custom resource types of `keystores.dev/v1alpha1`, and nothing else.
//!
//! Serde types, their schema and their CEL rules live here, so that the controllers, the gateway, the tests and the
//! generated files in `crds/` cannot disagree. There is no client, no async and no decision in this crate: what a
//! state means is `operator-domain`'s business, and neither crate knows the other. Enums that both have carry AWS's
//! spelling and convert through it (`as_str`, `parse`).
//!
//! Conventions that hold for every kind:
//! - `set_once` fields may be set a single time and never change or disappear again (architecture D2). The rule sits on
//!   the whole `spec`, because a rule on the field itself is skipped when the field is removed.
//! - What a manifest and the AWS API may both change has no schema default (D17): absent means "nobody asked".
//! - A field that the schema knows but the product does not honour yet is refused with "not supported yet", never ignored.
//!
//! May import of this workspace: none. Never imports: `tokio`, `futures`, `rustls`, `aws-lc-rs`. (Types only.)

// KubeSchema derives the schema from a hidden copy of the type, inside a function, and keeps `pub` on the copy.
#![expect(unreachable_pub, reason = "emitted by #[derive(KubeSchema)]")]
#![expect(clippy::duplicated_attributes, reason = "every printcolumn(..) of a kind has its own type_ and priority")]

pub mod cloud_hsm_cluster;
pub mod connection_status;
pub mod crd;
pub mod custom_key_store;
pub mod field_manager;
pub mod gateway_lease;
pub mod keystore_account;
pub mod keystore_claim;
pub mod kms_access_key;
pub mod kms_alias;
pub mod kms_key;
pub mod labels;
pub mod reason;
pub mod recovery_record;
pub mod reference;
mod set_once;

pub use cloud_hsm_cluster::{CloudHsmCluster, CloudHsmClusterSpec, CloudHsmClusterStatus};
pub use connection_status::{ConnectionErrorCode, ConnectionState};
pub use crd::{custom_resource_definitions, to_yaml};
pub use custom_key_store::{CustomKeyStore, CustomKeyStoreSpec, CustomKeyStoreStatus};
pub use keystore_account::{KeystoreAccount, KeystoreAccountSpec, KeystoreAccountStatus};
pub use keystore_claim::{ClaimPurpose, KeystoreClaim, KeystoreClaimSpec};
pub use kms_access_key::{KmsAccessKey, KmsAccessKeySpec, KmsAccessKeyStatus};
pub use kms_alias::{KmsAlias, KmsAliasSpec, KmsAliasStatus};
pub use kms_key::{KmsKey, KmsKeySpec, KmsKeyStatus};
pub use recovery_record::{RecordedKind, RecoveryRecord};

/// API group of every kind.
pub const GROUP: &str = "keystores.dev";
/// The only served and stored version.
pub const VERSION: &str = "v1alpha1";
