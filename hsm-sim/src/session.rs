//! Drives one connection: frames in, answers out, many requests in flight, writes gathered.
//!
//! Quick commands are answered by the reading side itself; slow ones run as tasks of their own, because a change that
//! has begun must be finished and published even if the connection dies. Reading stops while answers pile up.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use hsm_protocol::frame::{self, Frame, take_frame};
use hsm_protocol::{FrameKind, ReturnCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroize;

/// Slow requests in flight per session; more are answered Busy.
const MAX_IN_FLIGHT: usize = 256;
const ANSWER_QUEUE: usize = 1024;
const READ_CHUNK: usize = 32 * 1024;
const DRAIN: Duration = Duration::from_secs(3);

/// Answers the requests of one session. An answer is one encoded response frame.
pub(crate) trait Serve: Send + Sync + 'static {
    /// The answer, if it takes microseconds.
    fn answer_now(&self, frame: &Frame) -> Option<BytesMut>;

    /// The answer. Runs to its end even if nobody waits any more.
    fn answer(self: Arc<Self>, frame: Frame, deadline: Option<Instant>) -> impl Future<Output = BytesMut> + Send;
}

/// When a session has to end.
#[derive(Clone)]
pub(crate) struct Ending {
    /// At once.
    pub(crate) closed: CancellationToken,
    /// After the requests in flight have been answered.
    pub(crate) shutdown: CancellationToken,
}

/// Serves a connection until the client leaves, sends something that is no frame, or the session is ended.
pub(crate) async fn drive<S, H>(stream: S, handler: Arc<H>, ending: Ending)
where
    S: AsyncRead + AsyncWrite + Send,
    H: Serve,
{
    let (reading, writing) = tokio::io::split(stream);
    let (answers, queue) = mpsc::channel(ANSWER_QUEUE);
    let reader = read(reading, handler, answers, &ending.shutdown);
    let writer = write(writing, queue);
    // The writer ends when the reader and every running request have dropped their end of the queue.
    let both = async { tokio::join!(reader, writer) };
    tokio::select! {
        () = ending.closed.cancelled() => {}
        () = drain_limit(&ending.shutdown) => {}
        _ = both => {}
    }
}

async fn drain_limit(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

async fn read<R, H>(mut reading: R, handler: Arc<H>, answers: mpsc::Sender<BytesMut>, shutdown: &CancellationToken)
where
    R: AsyncRead + Unpin,
    H: Serve,
{
    let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let mut buffer = BytesMut::with_capacity(READ_CHUNK);
    loop {
        let received = tokio::select! {
            () = shutdown.cancelled() => return,
            received = reading.read_buf(&mut buffer) => received,
        };
        if !matches!(received, Ok(1..)) {
            return;
        }
        loop {
            match take_frame(&mut buffer) {
                Ok(Some(frame)) if frame.header.kind == FrameKind::Request => {
                    if accept(&handler, &answers, &in_flight, frame).await.is_none() {
                        return;
                    }
                }
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => return,
            }
        }
        buffer.reserve(READ_CHUNK);
    }
}

/// Answers a request or starts a task that will; `None` if the writer is gone.
async fn accept<H: Serve>(
    handler: &Arc<H>,
    answers: &mpsc::Sender<BytesMut>,
    in_flight: &Arc<Semaphore>,
    frame: Frame,
) -> Option<()> {
    if let Some(answer) = handler.answer_now(&frame) {
        return answers.send(answer).await.ok();
    }
    let Ok(permit) = Arc::clone(in_flight).try_acquire_owned() else {
        return answers.send(refusal(&frame, ReturnCode::Busy)).await.ok();
    };
    let deadline = match frame.header.word {
        0 => None,
        milliseconds => Some(Instant::now() + Duration::from_millis(u64::from(milliseconds))),
    };
    let (handler, answers) = (Arc::clone(handler), answers.clone());
    tokio::spawn(async move {
        let _permit = permit;
        let answer = handler.answer(frame, deadline).await;
        // A client that left loses only the answer.
        let _ = answers.send(answer).await;
    });
    Some(())
}

async fn write<W: AsyncWrite + Unpin>(mut writing: W, mut queue: mpsc::Receiver<BytesMut>) {
    let mut waiting = Vec::with_capacity(64);
    let mut batch = BytesMut::with_capacity(READ_CHUNK);
    while queue.recv_many(&mut waiting, 64).await > 0 {
        for mut answer in waiting.drain(..) {
            batch.extend_from_slice(&answer);
            answer.zeroize_content();
        }
        let written = writing.write_all(&batch).await;
        batch.zeroize_content();
        batch.clear();
        if written.is_err() || writing.flush().await.is_err() {
            return;
        }
    }
    // The client learns that the session has ended; if it is gone already, so much the better.
    let _ = writing.shutdown().await;
}

/// Answers may hold plaintext or data keys (INV-55).
trait ZeroizeContent {
    fn zeroize_content(&mut self);
}

impl ZeroizeContent for BytesMut {
    fn zeroize_content(&mut self) {
        self.as_mut().zeroize();
    }
}

/// An answer without a body.
pub(crate) fn refusal(frame: &Frame, code: ReturnCode) -> BytesMut {
    encode(frame, code, &())
}

/// An answer with a body. A body over the limit becomes `MessageTooLarge`.
pub(crate) fn encode<M: prost::Message>(frame: &Frame, code: ReturnCode, body: &M) -> BytesMut {
    let mut answer = BytesMut::new();
    let (command, request_id) = (frame.header.command, frame.header.request_id);
    if frame::put_response(&mut answer, command, request_id, code, body).is_err() {
        let header = hsm_protocol::FrameHeader {
            body_length: 0,
            kind: FrameKind::Response,
            command,
            request_id,
            word: ReturnCode::MessageTooLarge as u32,
        };
        answer.extend_from_slice(&header.encode());
    }
    answer
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
