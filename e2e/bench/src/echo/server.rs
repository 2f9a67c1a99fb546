//! The answering end: one thread, one write for everything that one read brought.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;

use super::{BUFFER, FRAME, Listening, Settings};
use crate::child;

/// Echoes until the parent ends it.
///
/// # Errors
/// When it cannot start.
pub(crate) fn serve() -> Result<()> {
    let settings: Settings = child::settings()?;
    Builder::new_current_thread().enable_all().build()?.block_on(run(settings))
}

async fn run(settings: Settings) -> Result<()> {
    let layers = match &settings.nested {
        Some(credentials) => {
            Some((TlsAcceptor::from(credentials.server(true)?), TlsAcceptor::from(credentials.server(false)?)))
        }
        None => None,
    };
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    child::ready(&Listening(listener.local_addr()?))?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let layers = layers.clone();
        // A client that goes away is the end of a round.
        tokio::spawn(async move { connection(stream, layers).await });
    }
}

async fn connection(stream: TcpStream, layers: Option<(TlsAcceptor, TlsAcceptor)>) -> Result<()> {
    let Some((outer, inner)) = layers else { return echo(stream).await };
    let outer = BufReader::with_capacity(BUFFER, outer.accept(stream).await?);
    echo(inner.accept(outer).await?).await
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(BUFFER);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let whole = buffer.len() / FRAME * FRAME;
        stream.write_all(&buffer[..whole]).await?;
        stream.flush().await?;
        buffer.advance(whole);
        buffer.reserve(BUFFER);
    }
}
