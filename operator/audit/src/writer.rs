//! Writes records as JSON lines to one output, many at a time; what the output does not take at once, on a thread of its own.
//!
//! A request waits for its own line only: whatever has queued up meanwhile goes out in the same write (group write), so
//! a slow output costs latency once per batch, not once per request. No thread that serves requests ever waits for the
//! output.

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::event::Event;
use crate::output::Output;
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
    /// Held while bytes are written: by the thread for as long as it takes, by others for a moment.
    output: Arc<Mutex<Output>>,
    writable: Arc<AtomicBool>,
}

impl LineWriter {
    /// Starts the writer thread on `output`. The thread ends when the `LineWriter` is dropped and its queue is empty.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(output: impl Write + Send + 'static) -> std::io::Result<Self> {
        Self::start_with(Output::patient(output))
    }

    /// As [`Self::start`], for an output that the operating system knows. If it takes lines at once, they are written by
    /// whoever has them. Nobody else of this process may write to it.
    ///
    /// # Errors
    /// When the operating system refuses a thread or a file descriptor.
    pub fn start_on(output: File) -> std::io::Result<Self> {
        Self::start_with(Output::prompt(output)?)
    }

    fn start_with(output: Output) -> std::io::Result<Self> {
        let (queue, lines) = mpsc::channel(QUEUE_LENGTH);
        let (output, writable) = (Arc::new(Mutex::new(output)), Arc::new(AtomicBool::new(true)));
        let shared = (Arc::clone(&output), Arc::clone(&writable));
        let thread = thread::Builder::new().name("audit-writer".to_owned());
        thread.spawn(move || write_all(&shared.0, lines, &shared.1))?;
        Ok(Self { queue, output, writable })
    }

    /// Writes whole lines. `Ok` means that the output has taken every byte of them.
    pub(crate) async fn write(&self, mut lines: Vec<u8>) -> Result<(), AuditError> {
        let taken = self.write_at_once(&lines);
        let outcome = if taken == lines.len() {
            Ok(())
        } else {
            lines.drain(..taken);
            self.queue_and_wait(lines).await
        };
        self.writable.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    }

    /// How many bytes of these lines the output took at once; none while somebody else writes.
    fn write_at_once(&self, lines: &[u8]) -> usize {
        match self.output.try_lock() {
            Ok(mut output) => output.write_at_once(lines),
            Err(TryLockError::Poisoned(output)) => output.into_inner().write_at_once(lines),
            Err(TryLockError::WouldBlock) => 0,
        }
    }

    async fn queue_and_wait(&self, bytes: Vec<u8>) -> Result<(), AuditError> {
        let (written, outcome) = oneshot::channel();
        let sent = timeout(PATIENCE, self.queue.send(Line { bytes, written })).await;
        sent.map_err(|_| AuditError::QueueFull)?.map_err(|_| AuditError::Closed)?;
        timeout(PATIENCE, outcome).await.map_err(|_| AuditError::Output)?.map_err(|_| AuditError::Closed)?
    }
}

impl Sink for LineWriter {
    fn record(&self, event: &Event<'_>) -> Pin<Box<dyn Future<Output = Result<(), AuditError>> + Send + '_>> {
        let line = event.to_line().map_err(|_| AuditError::Serialise);
        Box::pin(async move { self.write(line?).await })
    }

    fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }
}

fn write_all(output: &Mutex<Output>, mut lines: mpsc::Receiver<Line>, writable: &AtomicBool) {
    let mut batch = Vec::with_capacity(BATCH_LENGTH);
    let mut buffer = Vec::new();
    while lines.blocking_recv_many(&mut batch, BATCH_LENGTH) > 0 {
        buffer.clear();
        batch.iter().for_each(|line| buffer.extend_from_slice(&line.bytes));
        // A panic while the lock was held leaves at worst half a line, as a failed write does.
        let written = output.lock().unwrap_or_else(PoisonError::into_inner).write(&buffer);
        let outcome = written.map_err(|_| AuditError::Output);
        writable.store(outcome.is_ok(), Ordering::Relaxed);
        for line in batch.drain(..) {
            // A request that has gone away needs no answer.
            let _ = line.written.send(outcome);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
