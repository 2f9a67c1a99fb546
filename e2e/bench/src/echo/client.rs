//! The asking end as a connection pool has it: many callers, one task that owns the stream, one answer each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::{Buf, BytesMut};
use futures::future::try_join_all;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;

use super::{BUFFER, FRAME, ID, Listening};
use crate::certificates::{Credentials, NAME};

/// A caller that waits.
type Answer = oneshot::Sender<()>;

/// Frames per second that come back with `callers` callers, for `length`. Runs on the calling thread.
///
/// # Errors
/// When the connection breaks.
pub(crate) async fn measure(
    server: Listening,
    nested: Option<&Credentials>,
    callers: usize,
    length: Duration,
) -> Result<f64> {
    let stream = TcpStream::connect(server.0).await?;
    stream.set_nodelay(true)?;
    let Some(client) = nested else { return run(stream, callers, length).await };
    let name = ServerName::try_from(NAME)?;
    let outer = TlsConnector::from(client.client(true)?).connect(name.clone(), stream).await?;
    let outer = BufReader::with_capacity(BUFFER, outer);
    run(TlsConnector::from(client.client(false)?).connect(name, outer).await?, callers, length).await
}

async fn run(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    callers: usize,
    length: Duration,
) -> Result<f64> {
    let (queue, calls) = mpsc::channel(callers);
    let driver = tokio::spawn(drive(stream, calls));
    let start = Instant::now();
    let caller = async |queue: Arc<mpsc::Sender<Answer>>| -> Result<u32> {
        let mut count = 0;
        while start.elapsed() < length {
            let (answer, answered) = oneshot::channel();
            queue.send(answer).await.ok().context("the connection broke")?;
            answered.await.context("the connection broke")?;
            count += 1;
        }
        Ok(count)
    };
    let queue = Arc::new(queue);
    let counts = try_join_all((0..callers).map(|_| caller(Arc::clone(&queue)))).await?;
    let elapsed = start.elapsed().as_secs_f64();
    drop(queue);
    driver.abort();
    Ok(counts.into_iter().map(f64::from).sum::<f64>() / elapsed)
}

async fn drive(mut stream: impl AsyncRead + AsyncWrite + Unpin, mut calls: mpsc::Receiver<Answer>) -> Result<()> {
    let (mut new, mut waiting, mut free) = (Vec::new(), Vec::<Option<Answer>>::new(), Vec::<usize>::new());
    let (mut incoming, mut outgoing) = (BytesMut::with_capacity(BUFFER), Vec::with_capacity(BUFFER));
    loop {
        tokio::select! {
            count = calls.recv_many(&mut new, 256) => {
                if count == 0 {
                    return Ok(());
                }
                outgoing.clear();
                for answer in new.drain(..) {
                    let slot = free.pop().unwrap_or_else(|| { waiting.push(None); waiting.len() - 1 });
                    waiting[slot] = Some(answer);
                    outgoing.extend_from_slice(&frame(slot));
                }
                stream.write_all(&outgoing).await?;
                stream.flush().await?;
            }
            read = stream.read_buf(&mut incoming) => {
                if read? == 0 {
                    return Ok(());
                }
                while incoming.len() >= FRAME {
                    let slot = usize::try_from(u64::from_be_bytes(incoming[ID].try_into()?))?;
                    incoming.advance(FRAME);
                    free.push(slot);
                    let answer = waiting.get_mut(slot).and_then(Option::take).context("an answer to nobody")?;
                    // A caller that has stopped waiting is the end of the measurement.
                    let _ = answer.send(());
                }
                incoming.reserve(BUFFER);
            }
        }
    }
}

fn frame(slot: usize) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[..ID.start].copy_from_slice(&60_u32.to_be_bytes());
    frame[ID].copy_from_slice(&(slot as u64).to_be_bytes());
    frame
}
