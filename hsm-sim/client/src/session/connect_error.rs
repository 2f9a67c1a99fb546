//! Why no session came about, by phase: the store controller turns the phase into a connection error code.

use crate::error::HsmError;
use crate::tls::TlsSetupError;
use std::io;

/// Failure to open a session. A phase that took too long fails with [`io::ErrorKind::TimedOut`].
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Our own certificate or trust anchor cannot be used.
    #[error("failed to prepare TLS")]
    Setup(#[from] TlsSetupError),
    /// No TCP connection: the HSM is unreachable.
    #[error("failed to reach the HSM")]
    Tcp(#[source] io::Error),
    /// The host certificate is not the pinned one, or the HSM refused our client certificate (HSM-10, HSM-11).
    #[error("failed in the outer TLS layer")]
    OuterTls(#[source] io::Error),
    /// The cluster certificate was not issued by the trust anchor (HSM-13).
    #[error("failed in the inner TLS layer")]
    InnerTls(#[source] io::Error),
    /// No answer to Hello, or one that is no proof.
    #[error("failed to greet the HSM")]
    Hello(#[source] HsmError),
    /// A valid HSM of this cluster, but not the one expected at this address (T-12).
    #[error("failed to recognise the HSM: {0}")]
    IdentityMismatch(String),
}
