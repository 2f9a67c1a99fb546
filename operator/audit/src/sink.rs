//! What takes records: the trait that the gateway is built on, and how writing can fail.

use std::future::Future;
use std::pin::Pin;

use thiserror::Error;

use crate::event::Event;

/// Why a record was not written. The caller decides what that means for the request (INV-69).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuditError {
    /// The queue stayed full: the output is slower than the requests, or stands still.
    #[error("failed to queue an audit record in time")]
    QueueFull,
    /// The output refused the bytes.
    #[error("failed to write an audit record")]
    Output,
    /// The record could not be made into JSON.
    #[error("failed to serialise an audit record")]
    Serialise,
    /// The writer has ended.
    #[error("failed to reach the audit writer: it has ended")]
    Closed,
}

/// A place where audit records are kept.
pub trait Sink: Send + Sync {
    /// Writes one record. `Ok` means that the output has taken every byte of it.
    fn record(&self, event: &Event<'_>) -> Pin<Box<dyn Future<Output = Result<(), AuditError>> + Send + '_>>;

    /// Whether the last attempt to write succeeded. Asked before a change is made that could not be undone when its
    /// record then fails to be written (INV-69).
    fn is_writable(&self) -> bool;
}
