//! Gathers the records of one core, so that they share a write, or the wake-up of the writer's thread.
//!
//! While one batch is being written the next one collects: under load many records share a write, and at rest a record
//! leaves at once. Waking another thread costs more than making a record (performance §2.2).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::event::Event;
use crate::sink::{AuditError, Sink};
use crate::writer::LineWriter;

/// Records that may wait for the present batch; more are refused, not kept in memory.
const MOST_WAITING: usize = 4_096;
/// Bytes that are set aside for the next batch at most.
const MOST_ROOM: usize = 64 << 10;

type Outcome = Result<(), AuditError>;

#[derive(Default)]
struct Batch {
    lines: Vec<u8>,
    waiting: Vec<oneshot::Sender<Outcome>>,
}

impl Batch {
    /// An empty batch with room for what `before` holds: at an even load a batch is about as large as the one before, and
    /// grown from nothing it would be copied half a dozen times.
    fn like(before: &Self) -> Self {
        Self {
            lines: Vec::with_capacity(before.lines.len().min(MOST_ROOM)),
            waiting: Vec::with_capacity(before.waiting.len()),
        }
    }
}

#[derive(Default)]
struct Next {
    batch: Batch,
    /// Whether a task writes batches until there are none.
    is_writing: bool,
}

/// A [`Sink`] in front of a [`LineWriter`], for the requests of one core. Others may use it too, but would wait for its lock.
pub struct Gathered {
    writer: Arc<LineWriter>,
    next: Arc<Mutex<Next>>,
}

impl Gathered {
    /// Gathers records for `writer`.
    #[must_use]
    pub fn new(writer: Arc<LineWriter>) -> Self {
        Self { writer, next: Arc::default() }
    }

    /// Adds a record to the next batch, and sees to it that the batch is written.
    fn add(&self, event: &Event<'_>) -> Result<oneshot::Receiver<Outcome>, AuditError> {
        let mut next = lock(&self.next);
        if next.batch.waiting.len() >= MOST_WAITING {
            return Err(AuditError::QueueFull);
        }
        event.append_line(&mut next.batch.lines).map_err(|_| AuditError::Serialise)?;
        let (written, outcome) = oneshot::channel();
        next.batch.waiting.push(written);
        if !next.is_writing {
            next.is_writing = true;
            // A task of its own: the request that happens to be first may be given up by its client.
            tokio::spawn(write_batches(Arc::clone(&self.writer), Arc::clone(&self.next)));
        }
        Ok(outcome)
    }
}

impl Sink for Gathered {
    fn record(&self, event: &Event<'_>) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        let added = self.add(event);
        Box::pin(async move { added?.await.map_err(|_| AuditError::Closed)? })
    }

    fn is_writable(&self) -> bool {
        self.writer.is_writable()
    }
}

async fn write_batches(writer: Arc<LineWriter>, next: Arc<Mutex<Next>>) {
    while let Some(Batch { lines, waiting }) = take(&next) {
        let outcome = writer.write(lines).await;
        for request in waiting {
            // A request that has gone away needs no answer.
            let _ = request.send(outcome);
        }
    }
}

/// The batch that has collected; `None` ends the writing, so that the next record begins it anew.
fn take(next: &Mutex<Next>) -> Option<Batch> {
    let mut next = lock(next);
    next.is_writing = !next.batch.waiting.is_empty();
    next.is_writing.then(|| {
        let room = Batch::like(&next.batch);
        std::mem::replace(&mut next.batch, room)
    })
}

fn lock(next: &Mutex<Next>) -> MutexGuard<'_, Next> {
    // A panic while the lock was held leaves at worst a record without its waiting request.
    next.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
