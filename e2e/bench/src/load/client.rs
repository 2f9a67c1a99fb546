//! One HTTP/1.1 connection that sends prepared bytes and reads the answer. It does as little as a client can, because
//! what it costs is taken from what is measured.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest answer that is read.
const BUFFER: usize = 16 * 1_024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that stays open.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    buffer: Box<[u8; BUFFER]>,
}

impl Client {
    pub(super) fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Box::new([0; BUFFER]) }
    }

    /// Sends one request and returns the body of its answer.
    ///
    /// # Errors
    /// When the answer is no success, or does not come.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                bail!("the gateway closed the connection, or answered with more than {BUFFER} bytes");
            }
            filled += read;
            if let Some((head, length)) = parse(&self.buffer[..filled])?
                && filled >= head + length
            {
                return Ok(&self.buffer[head..head + length]);
            }
        }
    }
}

/// Length of the head and of the body, once the head is complete.
fn parse(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status != "HTTP/1.1 200 OK" {
        bail!("refused: {}", String::from_utf8_lossy(bytes));
    }
    let length = lines.find_map(|line| line.strip_prefix("content-length: ")).context("no content-length")?;
    Ok(Some((end + 4, length.parse()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    #[tokio::test]
    async fn an_answer_in_pieces_is_read_whole_and_a_refusal_is_an_error() {
        for cut in 1..ANSWER.len() {
            let (near, mut far) = tokio::io::duplex(64);
            let mut client = Client::new(near);
            let peer = async {
                let mut request = [0; 1];
                far.read_exact(&mut request).await.unwrap();
                far.write_all(&ANSWER[..cut]).await.unwrap();
                tokio::task::yield_now().await;
                far.write_all(&ANSWER[cut..]).await.unwrap();
            };
            let (body, ()) = tokio::join!(client.exchange(b"x"), peer);
            assert_eq!(body.unwrap(), b"{}", "cut at {cut}");
        }
        assert!(parse(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").is_err());
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap(), None);
    }
}
