//! A session: nested TLS to one HSM whose identity is proven, with many requests in flight.

mod connect_error;
mod connection;
mod dial;
mod hello;
mod waiting;

pub use connect_error::ConnectError;
pub use hello::HsmIdentity;

use crate::endpoint::HsmEndpoint;
use crate::error::HsmError;
use crate::tls::{ClientIdentity, TrustAnchor};
pub(crate) use connection::Connection;
use hsm_protocol::frame::Body;
use hsm_protocol::{Command, Request, Wiped};
use std::sync::Arc;
use std::time::Duration;

/// How long a command may take unless [`Session::with_deadline`] says otherwise: a login hashes the password and
/// waits for the disk twice.
const DEADLINE: Duration = Duration::from_secs(10);

/// An open connection to one HSM. Clones share it; when the last one is dropped the connection is closed.
///
/// Invariant: it exists only after both TLS layers were verified and the HSM proved its identity (INV-01, INV-65).
#[derive(Clone)]
pub struct Session {
    connection: Arc<Connection>,
    identity: Arc<HsmIdentity>,
    outer_binding: [u8; 32],
    deadline: Duration,
}

impl Session {
    /// Dials, verifies both layers and the HSM's identity. Each phase may take `timeout`.
    ///
    /// # Errors
    /// [`ConnectError`], which says in which phase it failed.
    pub async fn connect(
        endpoint: &HsmEndpoint,
        identity: &ClientIdentity,
        anchor: &TrustAnchor,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let dialled = dial::dial(endpoint, identity, anchor, timeout).await?;
        let connection = Arc::new(Connection::start(dialled.stream));
        let proof = hello::prove(&connection, &dialled.inner_exporter, endpoint, timeout).await?;
        Ok(Self { connection, identity: Arc::new(proof), outer_binding: dialled.outer_exporter, deadline: DEADLINE })
    }

    /// The same session with another deadline per command.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        self.clone().within(deadline)
    }

    /// This session with another deadline per command.
    pub(crate) fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// What the HSM proved in its signed Hello.
    pub fn identity(&self) -> &HsmIdentity {
        &self.identity
    }

    /// Whether the connection still stands, as far as this side knows.
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) {
        self.connection.closed().await;
    }

    /// Requests that wait for an answer: the load that the pool balances.
    pub fn in_flight(&self) -> usize {
        self.connection.in_flight()
    }

    pub(crate) fn outer_binding(&self) -> &[u8; 32] {
        &self.outer_binding
    }

    /// Sends one request and waits for its answer, at most the session's deadline.
    pub(crate) async fn call<R: Request>(&self, request: &R) -> Result<R::Reply, HsmError> {
        self.connection.call(request, self.deadline).await
    }

    /// The same for a command whose messages are read and written in place: returns the reply's body.
    pub(crate) async fn exchange(&self, command: Command, request: &impl Body) -> Result<Wiped, HsmError> {
        self.connection.exchange(command, request, self.deadline).await
    }
}
