//! The AWS-compatible endpoint: KMS in JSON 1.1, STS in the query protocol, over HTTPS with Signature Version 4.
//!
//! A request passes `server` (TLS, limits) → `router` (`sigv4`, then `target`) → `operation` (with `index`, `authorize`,
//! `crypto`, `control`) → `audit` → reply. [`Gateway`] is that path without sockets and without Kubernetes; the
//! `cluster` module connects it to Kubernetes.
//!
//! May import of this workspace: `audit`, `hsm-client`, `hsm-protocol`, `operator-api`, `operator-domain`,
//! `random-reserve`, `refusal-log`. Never imports: `hsm-initialization`, `operator-controllers`, `rcgen`. (The gateway holds no password and issues no certificate.)

pub mod authorize;
pub mod control;
pub mod crypto;
pub mod index;
pub mod sigv4;

mod arn;
mod caller;
#[cfg(feature = "cluster")]
mod cluster;
mod error;
mod gateway;
mod ids;
mod metrics;
mod operation;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod refusals;
mod replay;
mod router;
mod server;
mod service;
mod sts;
mod target;
mod validation;
mod wire;

pub use arn::Place;
#[cfg(feature = "cluster")]
pub use cluster::{GatewayConfig, HsmStore, Readiness, RunError, run};
pub use error::{ApiError, ErrorCode};
pub use gateway::{Gateway, Parts};
pub use hsm_protocol::Wiped;
pub use metrics::Metrics;
pub use router::WholeRequest;
pub use server::{CertificateError, Cores, Handshake, ServingCertificate, ServingPlace, serve};
pub use service::Service;
pub use target::Operation;
