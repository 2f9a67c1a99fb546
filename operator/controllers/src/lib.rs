//! The controllers: the edge between the API server, the HSMs and the pure core in `operator-domain`.
//!
//! Every controller has the same files: `observe` (reads), `validate` (pure), `build` or the domain's plan (pure), `apply` (writes), `status`
//! (one patch per reconcile). Its module exposes `run(context, shutdown)`. Only the holder of the Lease runs them.

pub mod claim;
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
pub mod report;
pub mod secrets;
pub mod write;
