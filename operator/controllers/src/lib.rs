//! The controllers: the edge between the API server, the HSMs and the pure core in `operator-domain`.
//!
//! The larger controllers have the same files: `observe` (reads), `validate` (pure), `build` or the domain's plan (pure), `apply` (writes), `status`
//! (one patch per reconcile); a small one is a file. Its module exposes `run(context, shutdown)`. Only the holder of the Lease runs them.
//!
//! May import of this workspace: `hsm-client`, `hsm-initialization`, `hsm-protocol`, `operator-api`, `operator-domain`.
//! Never imports: `hyper`, `audit`, `kms-gateway`. (The controllers serve no API.)

pub mod certificate;
pub mod claim;
pub mod cloud_hsm_cluster;
pub mod conditions;
pub mod context;
pub mod custom_key_store;
pub mod effect;
pub mod fences;
pub mod keystore_account;
pub mod kms_access_key;
pub mod kms_alias;
pub mod kms_key;
pub mod leader;
pub mod metrics;
pub mod ownership;
pub mod random;
pub mod read;
pub mod recovery;
pub mod report;
pub mod ring;
pub mod secrets;
pub mod shared_store;
pub mod write;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Runs every controller until `stop`, and until what was under way then has ended.
///
/// # Panics
/// When a controller panics: the process must not go on as the leader with one of them missing.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut controllers = JoinSet::new();
    controllers.spawn(certificate::run(context.clone(), stop.clone()));
    controllers.spawn(cloud_hsm_cluster::run(context.clone(), stop.clone()));
    controllers.spawn(keystore_account::run(context.clone(), stop.clone()));
    controllers.spawn(kms_access_key::run(context.clone(), stop.clone()));
    controllers.spawn(kms_alias::run(context.clone(), stop.clone()));
    controllers.spawn(custom_key_store::run(context.clone(), stop.clone()));
    controllers.spawn(kms_key::run(context.clone(), stop.clone()));
    controllers.join_all().await;
}
