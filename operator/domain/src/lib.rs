//! operator-domain: the pure core. States, events, decisions, names and error codes; no I/O, no clock, no randomness.
//!
//! Whatever the outside knows comes in as facts, whatever is to be done goes out as values: effects, plans, refusals.
//! Time and random bytes are arguments (this crate's clippy.toml refuses the calls). So every rule can be walked through
//! by tests, state by state, and the same core runs in the controllers, in the gateway and in a simulation.
//!
//! Enums match exhaustively: a new state or event must be decided everywhere before it compiles.
//!
//! May import of this workspace: none. Never imports: `kube`, `k8s-openapi`, `tokio`, `futures`, `rustls`, `aws-lc-rs`,
//! `jiff`, `uuid`, `tracing`. (Pure.)

#![deny(clippy::wildcard_enum_match_arm, clippy::disallowed_methods, clippy::disallowed_types)]

pub mod authorization;
pub mod certificate;
pub mod cluster;
pub mod connection;
pub mod encryption_context;
pub mod identifier;
pub mod key;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod refusal;
pub mod rotation;
pub mod timestamp;

pub use encryption_context::{EncryptionContext, EncryptionContextTooLarge};
pub use refusal::{Exception, Refusal};
pub use timestamp::Timestamp;
