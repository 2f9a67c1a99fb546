//! The Kubernetes edge: fills the index from watches, connects stores, asks for reviews, writes what calls ask for.
//!
//! [`run`] is the gateway as a process. Secrets are watched in the gateway's own namespace only; in the tenants'
//! namespaces there are only custom resources to read (design, "Namespaces of the installation").

mod access_keys;
mod accounts;
mod client_identities;
mod config;
mod connections;
mod control_plane;
mod convert;
mod core_stores;
mod endpoint;
mod feed;
mod hsm_store;
mod keys;
mod lease;
mod readiness;
mod reviews;
mod run;
mod secrets;
mod stores;

pub use config::GatewayConfig;
pub use hsm_store::HsmStore;
pub use readiness::Readiness;
pub use run::{RunError, run};
