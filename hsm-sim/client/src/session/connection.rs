//! Many requests in flight over one stream: requests queued meanwhile leave in one write, answers come in any order.
//!
//! One mutex guards the queue of bytes and the table of waiting callers; it is held for a copy, never across an await.
//! Buffers that held messages are wiped before they are reused (INV-55).

mod late_calls;

use super::waiting::Waiting;
use crate::error::HsmError;
use bytes::{Buf, BytesMut};
use hsm_protocol::frame::{Body, HEADER_LENGTH, put_request};
use hsm_protocol::{Command, FrameHeader, FrameKind, Request, ReturnCode, Wiped};
use late_calls::EndsConnection;
use prost::Message;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroize;

/// Bytes that may wait for the writer; past this the connection answers `Busy` itself instead of queueing without end.
const LONGEST_QUEUE: usize = 4 << 20;
/// First size of the buffers: one TLS record.
const BUFFER: usize = 16 * 1024;
/// How long saying goodbye to the peer may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The code and body of one answer.
struct Answer {
    header: FrameHeader,
    body: Wiped,
}

type Outcome = Result<Answer, HsmError>;

struct Queue {
    bytes: BytesMut,
    waiting: Waiting<oneshot::Sender<Outcome>>,
    /// When callers whose time is up are looked for next; not before there is a caller if none.
    look: Option<Instant>,
    open: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    queued: Notify,
    /// The next look has become earlier.
    earlier: Notify,
    ended: CancellationToken,
    /// Whether it has ended. Read several times per request, where the token would take a lock.
    over: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while the lock was held leaves at worst one incomplete frame, which the peer refuses.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every waiting caller know that no answer will come.
    fn end(&self) {
        let mut queue = self.lock();
        queue.open = false;
        queue.waiting.clear();
        drop(queue);
        self.over.store(true, Ordering::Release);
        self.ended.cancel();
        self.queued.notify_one();
    }
}

/// One connection; dropping it closes it.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    reader: AbortHandle,
}

impl Connection {
    /// Starts the reader and the writer of `stream`.
    pub(crate) fn start<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S) -> Self {
        let (read, write) = tokio::io::split(stream);
        let queue =
            Queue { bytes: BytesMut::with_capacity(BUFFER), waiting: Waiting::default(), look: None, open: true };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            queued: Notify::new(),
            earlier: Notify::new(),
            ended: CancellationToken::new(),
            over: AtomicBool::new(false),
        });
        let for_reader = shared.clone();
        let reader = tokio::spawn(async move {
            let outcome = read_answers(&for_reader, read).await;
            tracing::debug!(error = outcome.err().map(tracing::field::display), "HSM connection ended");
            for_reader.end();
        });
        tokio::spawn(write_requests(shared.clone(), write));
        tokio::spawn(late_calls::end(EndsConnection(shared.clone())));
        Self { shared, reader: reader.abort_handle() }
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// [`HsmError`]; whether the command may have taken effect, [`HsmError::is_indefinite`] says.
    pub(crate) async fn call<R: Request>(&self, request: &R, deadline: Duration) -> Result<R::Reply, HsmError> {
        let reply = self.exchange(R::COMMAND, request, deadline).await?;
        R::Reply::decode(reply.as_slice()).map_err(|source| HsmError::Protocol(source.to_string()))
    }

    /// Sends one request and waits for the body of its answer.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn exchange(
        &self,
        command: Command,
        request: &impl Body,
        deadline: Duration,
    ) -> Result<Wiped, HsmError> {
        let (id, answer) = self.enqueue(command, request, deadline)?;
        // From here on the caller may be dropped at any await; the table must not keep an entry for it.
        let mut forget = Forget { shared: &self.shared, id: Some(id) };
        let answer = answer.await;
        // Whoever let the caller know has taken it out of the table.
        forget.id = None;
        body(command, answer.map_err(|_| HsmError::Disconnected)??)
    }

    fn enqueue(
        &self,
        command: Command,
        request: &impl Body,
        deadline: Duration,
    ) -> Result<(u64, oneshot::Receiver<Outcome>), HsmError> {
        let milliseconds = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        let until = Instant::now().checked_add(deadline);
        let mut queue = self.shared.lock();
        if !queue.open {
            return Err(HsmError::Disconnected);
        }
        if queue.bytes.len() > LONGEST_QUEUE {
            return Err(HsmError::Refused(ReturnCode::Busy));
        }
        let (sender, receiver) = oneshot::channel();
        let id = queue.waiting.insert(sender, until);
        // Whoever puts the first bytes in tells the writer, which takes all there are by then.
        if queue.bytes.is_empty() {
            self.shared.queued.notify_one();
        }
        if let Err(error) = put_request(&mut queue.bytes, command, id, milliseconds, request) {
            queue.waiting.remove(id);
            return Err(error.into());
        }
        if until.is_some_and(|until| queue.look.is_none_or(|look| until < look)) {
            queue.look = until;
            self.shared.earlier.notify_one();
        }
        Ok((id, receiver))
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.shared.over.load(Ordering::Acquire)
    }

    pub(crate) async fn closed(&self) {
        self.shared.ended.cancelled().await;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.shared.lock().waiting.len()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
        self.shared.end();
    }
}

/// Removes a caller that stopped waiting.
struct Forget<'a> {
    shared: &'a Shared,
    id: Option<u64>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.lock().waiting.remove(id);
        }
    }
}

/// The body of a successful answer to `command`.
fn body(command: Command, answer: Answer) -> Result<Wiped, HsmError> {
    if answer.header.command != command as u16 {
        return Err(HsmError::Protocol("the answer belongs to another command".into()));
    }
    match ReturnCode::from_u32(answer.header.word) {
        Some(ReturnCode::Success) => Ok(answer.body),
        Some(code) => Err(HsmError::Refused(code)),
        None => Err(HsmError::Protocol(format!("unknown return code {}", answer.header.word))),
    }
}

async fn read_answers<S: AsyncRead + Unpin>(shared: &Shared, mut stream: S) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(BUFFER);
    loop {
        while let Some(answer) = take_answer(&mut buffer)? {
            let waiting = shared.lock().waiting.remove(answer.header.request_id);
            // Nobody waits any more when the caller gave up: the answer is dropped, and wiped.
            if let Some(waiting) = waiting {
                let _ = waiting.send(Ok(answer));
            }
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Takes one complete answer from the front of `buffer` and wipes its bytes there.
fn take_answer(buffer: &mut BytesMut) -> io::Result<Option<Answer>> {
    let Some(bytes) = buffer.first_chunk::<HEADER_LENGTH>() else { return Ok(None) };
    let header = FrameHeader::decode(bytes).map_err(io::Error::other)?;
    if header.kind != FrameKind::Response {
        return Err(io::Error::other("the HSM sent a request"));
    }
    let length = HEADER_LENGTH + header.body_length as usize;
    let Some(frame) = buffer.get_mut(..length) else {
        buffer.reserve(length - buffer.len());
        return Ok(None);
    };
    let body = Wiped::from(frame[HEADER_LENGTH..].to_vec());
    frame.zeroize();
    buffer.advance(length);
    Ok(Some(Answer { header, body }))
}

/// Writes whatever has queued up since the last write, as one write and one flush: at rest that is one request at
/// once, under load it is many.
async fn write_requests<S: AsyncWrite + Unpin>(shared: Arc<Shared>, mut stream: S) {
    let mut batch = BytesMut::with_capacity(BUFFER);
    loop {
        shared.queued.notified().await;
        let open = {
            let mut queue = shared.lock();
            std::mem::swap(&mut queue.bytes, &mut batch);
            queue.open
        };
        if !open {
            break;
        }
        let written = async {
            stream.write_all(&batch).await?;
            stream.flush().await
        };
        // A peer that no longer reads must not keep this task alive after the connection was given up.
        let outcome = tokio::select! {
            outcome = written => outcome,
            () = shared.ended.cancelled() => break,
        };
        batch.zeroize();
        batch.clear();
        if outcome.is_err() {
            break;
        }
    }
    shared.end();
    batch.zeroize();
    let _ = tokio::time::timeout(FAREWELL, stream.shutdown()).await;
}

#[cfg(test)]
mod tests;
