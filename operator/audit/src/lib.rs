//! CloudTrail-shaped audit records and the sinks that take them.
//!
//! One record per API request, written before its reply leaves (INV-69). The record types are closed: a caller can only
//! fill fields that AWS itself records (spec §5.2), so that plaintext, ciphertext, passwords and grant tokens have no
//! field they could end up in (INV-55).
//!
//! May import of this workspace: none. Never imports: `kube`, `hyper`, `tracing`. (A record goes to its sink and nowhere
//! else.)

mod event;
mod gathered;
mod identity;
mod output;
mod parameters;
mod sink;
mod writer;

pub use event::{ApiCall, Event, Resource, ResourceType};
pub use gathered::Gathered;
pub use identity::UserIdentity;
pub use parameters::{AdditionalEventData, KeyMetadata, RequestParameters, ResponseElements};
pub use sink::{AuditError, Sink};
pub use writer::LineWriter;
