//! Drives one connection: frames in, answers out, many requests in flight, one write for all that one read brought.
//!
//! Quick commands are answered where they are read, straight into the bytes that leave next; slow ones run as tasks of
//! their own on another runtime, because a change that has begun must be finished and published even if the connection
//! dies, and because a login's hashing must not hold up a thousand Encrypts (performance §3). While an answer cannot be
//! written nothing more is read.

use std::fmt::Arguments;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use hsm_protocol::frame::{self, Body, Frame, first_frame};
use hsm_protocol::{FrameHeader, FrameKind, ReturnCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroize;

/// Slow requests in flight per session; more are answered Busy.
const MAX_IN_FLIGHT: usize = 256;
const READ_CHUNK: usize = 32 * 1024;
const DRAIN: Duration = Duration::from_secs(3);

/// Answers the requests of one session. An answer is one encoded response frame.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Appends the answer to `answers` if it takes microseconds; says whether it did.
    fn answer_now(&self, header: &FrameHeader, body: &[u8], answers: &mut BytesMut) -> bool;

    /// The answer. Runs to its end even if nobody waits any more.
    fn answer(self: Arc<Self>, frame: Frame, deadline: Option<Instant>) -> impl Future<Output = BytesMut> + Send;

    /// Is told what makes bytes of the client no request, before they end the session. `why` holds none of them.
    fn not_a_request(&self, why: Arguments<'_>);
}

/// When a session has to end.
#[derive(Clone)]
pub(crate) struct Ending {
    /// At once.
    pub(crate) closed: CancellationToken,
    /// After the requests in flight have been answered.
    pub(crate) shutdown: CancellationToken,
}

/// Serves a connection until the client leaves, sends something that is no frame, or the session is ended. Slow requests
/// run on `slow`.
pub(crate) async fn drive<S, H>(mut stream: S, handler: Arc<H>, ending: Ending, slow: Handle)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    H: Serve,
{
    let served = async {
        if serve(&mut stream, handler, &ending.shutdown, slow).await.is_ok() {
            // The client learns that the session has ended; if it is gone already, so much the better.
            let _ = stream.shutdown().await;
        }
    };
    tokio::select! {
        () = ending.closed.cancelled() => {}
        () = drain_limit(&ending.shutdown) => {}
        () = served => {}
    }
}

async fn drain_limit(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// Reads and answers until there is nothing more to read, then answers what still runs.
async fn serve<S, H>(stream: &mut S, handler: Arc<H>, shutdown: &CancellationToken, slow: Handle) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Serve,
{
    let (answers, mut finished) = mpsc::channel(MAX_IN_FLIGHT);
    let mut requests = Some(Requests { handler, slow, answers, in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)) });
    let (mut incoming, mut outgoing) = (BytesMut::with_capacity(READ_CHUNK), BytesMut::with_capacity(READ_CHUNK));
    let mut shutdown = pin!(shutdown.cancelled());
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown, if requests.is_some() => requests = None,
            answer = finished.recv() => match answer {
                Some(answer) => take(answer, &mut outgoing),
                // Nothing is read any more, and every request that ran has dropped its end of the queue.
                None => return Ok(()),
            },
            read = stream.read_buf(&mut incoming), if requests.is_some() => {
                let open = matches!(read, Ok(1..))
                    && requests.as_ref().is_some_and(|requests| requests.accept(&mut incoming, &mut outgoing).is_some());
                if !open {
                    requests = None;
                }
            }
        }
        while let Ok(answer) = finished.try_recv() {
            take(answer, &mut outgoing);
        }
        if !outgoing.is_empty() {
            let written = stream.write_all(&outgoing).await;
            // Answers may hold plaintext or data keys (INV-55).
            outgoing.as_mut().zeroize();
            outgoing.clear();
            written?;
            stream.flush().await?;
        }
    }
}

fn take(mut answer: BytesMut, outgoing: &mut BytesMut) {
    outgoing.extend_from_slice(&answer);
    answer.as_mut().zeroize();
}

/// What a session does with requests for as long as it reads any.
struct Requests<H> {
    handler: Arc<H>,
    slow: Handle,
    /// Takes the answers of those that run.
    answers: mpsc::Sender<BytesMut>,
    in_flight: Arc<Semaphore>,
}

impl<H: Serve> Requests<H> {
    /// Answers or starts every complete request in `incoming`, and wipes it there; `None` if it holds something else.
    fn accept(&self, incoming: &mut BytesMut, outgoing: &mut BytesMut) -> Option<()> {
        let mut consumed = 0;
        let outcome = loop {
            match first_frame(incoming.get(consumed..)?) {
                Ok(Some((header, body))) if header.kind == FrameKind::Request => {
                    if !self.handler.answer_now(&header, body, outgoing) {
                        self.start(Frame { header, body: Bytes::copy_from_slice(body) }, outgoing);
                    }
                    consumed += frame::HEADER_LENGTH + body.len();
                }
                Ok(None) => break Some(()),
                Ok(Some(_)) => {
                    self.handler.not_a_request(format_args!("an answer stands where a request belongs"));
                    break None;
                }
                Err(error) => {
                    self.handler.not_a_request(format_args!("{error}"));
                    break None;
                }
            }
        };
        // Requests may hold plaintext or passwords (INV-55).
        incoming.get_mut(..consumed)?.zeroize();
        incoming.advance(consumed);
        incoming.reserve(READ_CHUNK);
        outcome
    }

    fn start(&self, frame: Frame, outgoing: &mut BytesMut) {
        let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            refuse(&frame.header, ReturnCode::Busy, outgoing);
            return;
        };
        let deadline = match frame.header.word {
            0 => None,
            milliseconds => Some(Instant::now() + Duration::from_millis(u64::from(milliseconds))),
        };
        let (handler, answers) = (Arc::clone(&self.handler), self.answers.clone());
        self.slow.spawn(async move {
            let answer = handler.answer(frame, deadline).await;
            // A client that left loses only the answer.
            let _ = answers.send(answer).await;
            drop(permit);
        });
    }
}

/// An answer without a body.
pub(crate) fn refusal(frame: &Frame, code: ReturnCode) -> BytesMut {
    let mut answer = BytesMut::new();
    refuse(&frame.header, code, &mut answer);
    answer
}

/// Appends an answer without a body.
pub(crate) fn refuse(request: &FrameHeader, code: ReturnCode, answers: &mut BytesMut) {
    encode(request, code, &(), answers);
}

/// Appends an answer with a body. A body over the limit becomes `MessageTooLarge`.
pub(crate) fn encode<M: Body>(request: &FrameHeader, code: ReturnCode, body: &M, answers: &mut BytesMut) {
    let FrameHeader { command, request_id, .. } = *request;
    if frame::put_response(answers, command, request_id, code, body).is_err() {
        let word = ReturnCode::MessageTooLarge as u32;
        let header = FrameHeader { body_length: 0, kind: FrameKind::Response, command, request_id, word };
        answers.extend_from_slice(&header.encode());
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
