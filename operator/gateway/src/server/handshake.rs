//! How an accepted connection becomes the stream that HTTP is spoken on. The product has one answer, TLS; the bench
//! measures another beside it.

use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What happens between accepting a connection and its first request.
pub trait Handshake: Clone + Send + Sync + 'static {
    /// What HTTP is spoken on.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Makes it.
    ///
    /// # Errors
    /// When the client does not do its part; the connection is then closed.
    fn shake(self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Handshake for TlsAcceptor {
    type Stream = TlsStream<TcpStream>;

    async fn shake(self, stream: TcpStream) -> io::Result<Self::Stream> {
        self.accept(stream).await
    }
}
