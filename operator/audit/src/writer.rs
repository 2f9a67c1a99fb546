//! Writes records as JSON lines to one output, on a thread of its own, many at a time.
//!
//! A request waits for its own line only: whatever has queued up meanwhile goes out in the same write (group write), so
//! a slow output costs latency once per batch, not once per request.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::event::Event;
use crate::sink::{AuditError, Sink};

/// Records that may wait for the output; more are refused, not kept in memory.
const QUEUE_LENGTH: usize = 4_096;
/// Records written by one system call at most.
const BATCH_LENGTH: usize = 256;
/// How long a request waits for the queue and the output before it is told that auditing failed.
const PATIENCE: Duration = Duration::from_secs(2);

struct Line {
    bytes: Vec<u8>,
    written: oneshot::Sender<Result<(), AuditError>>,
}

/// A [`Sink`] that writes JSON lines to any output, normally standard output.
pub struct LineWriter {
    queue: mpsc::Sender<Line>,
    writable: Arc<AtomicBool>,
}

impl LineWriter {
    /// Starts the writer thread on `output`. The thread ends when the `LineWriter` is dropped and its queue is empty.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(output: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (queue, lines) = mpsc::channel(QUEUE_LENGTH);
        let writable = Arc::new(AtomicBool::new(true));
        let shared = Arc::clone(&writable);
        thread::Builder::new().name("audit-writer".to_owned()).spawn(move || write_all(output, lines, &shared))?;
        Ok(Self { queue, writable })
    }

    /// Writes whole lines. `Ok` means that the output has taken every byte of them.
    pub(crate) async fn write(&self, lines: Vec<u8>) -> Result<(), AuditError> {
        let outcome = self.queue_and_wait(lines).await;
        self.writable.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    }

    async fn queue_and_wait(&self, bytes: Vec<u8>) -> Result<(), AuditError> {
        let (written, outcome) = oneshot::channel();
        let sent = timeout(PATIENCE, self.queue.send(Line { bytes, written })).await;
        sent.map_err(|_| AuditError::QueueFull)?.map_err(|_| AuditError::Closed)?;
        timeout(PATIENCE, outcome).await.map_err(|_| AuditError::Output)?.map_err(|_| AuditError::Closed)?
    }
}

impl Sink for LineWriter {
    fn record(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), AuditError>> + Send + '_>> {
        Box::pin(async move {
            let line = event.to_line().map_err(|_| AuditError::Serialise)?;
            self.write(line).await
        })
    }

    fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }
}

fn write_all(mut output: impl Write, mut lines: mpsc::Receiver<Line>, writable: &AtomicBool) {
    let mut batch = Vec::with_capacity(BATCH_LENGTH);
    let mut buffer = Vec::new();
    let mut torn = false;
    while lines.blocking_recv_many(&mut batch, BATCH_LENGTH) > 0 {
        buffer.clear();
        if torn {
            // A failed write may have left half a line behind: the next record must not continue it.
            buffer.push(b'\n');
        }
        batch.iter().for_each(|line| buffer.extend_from_slice(&line.bytes));
        let outcome = output.write_all(&buffer).and_then(|()| output.flush()).map_err(|_| AuditError::Output);
        torn = outcome.is_err();
        writable.store(outcome.is_ok(), Ordering::Relaxed);
        for line in batch.drain(..) {
            // A request that has gone away needs no answer.
            let _ = line.written.send(outcome);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
