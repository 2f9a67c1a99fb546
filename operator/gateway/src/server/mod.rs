//! Accepts connections, bounds what they may cost, spreads them over the cores, and drains them at the end.
//!
//! Every limit is here: connections, handshake time, header size and time, body size and time, idle time. A client that
//! does not keep to them costs a bounded amount of memory for a bounded time.
//!
//! One acceptor hands each connection to the core with the fewest (performance §3): several listeners on one port would
//! leave it to chance, which is uneven for the few long-lived connections that SDKs keep, and would reset what waits in
//! a listener that closes.

mod certificate;
mod connection;
mod cores;
mod handshake;
mod idle;
mod within;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use certificate::{CertificateError, ServingCertificate};
pub use cores::Cores;
pub use handshake::Handshake;

use crate::gateway::Gateway;
use crate::refusals::Refused;
use connection::{Connection, protocol};

/// Open connections at most; more are closed at once.
const MOST_CONNECTIONS: usize = 10_000;
/// Time for requests under way when the server ends.
const DRAIN: Duration = Duration::from_secs(20);

/// Where connections are served: a runtime, and the gateway that answers on it.
pub struct ServingPlace {
    /// Runs every task of the connections that are handed to it.
    pub runtime: Handle,
    /// Answers them.
    pub gateway: Arc<Gateway>,
}

/// A place and what it has.
struct Lane {
    place: ServingPlace,
    /// One strong count per open connection, besides this one.
    open: Arc<()>,
    drain: GracefulShutdown,
}

impl Lane {
    fn open_connections(&self) -> usize {
        Arc::strong_count(&self.open)
    }
}

/// Serves until `shutdown`, then lets requests under way end. Each connection stays at one of `places`.
pub async fn serve<H: Handshake>(
    listener: TcpListener,
    handshake: H,
    places: Vec<ServingPlace>,
    shutdown: CancellationToken,
) {
    let seats = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let lane = |place| Lane { place, open: Arc::new(()), drain: GracefulShutdown::new() };
    let lanes: Vec<Lane> = places.into_iter().map(lane).collect();
    let protocol = Arc::new(protocol());
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let Some(lane) = lanes.iter().min_by_key(|lane| lane.open_connections()) else { break };
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            let refusals = &lane.place.gateway.refusals;
            refusals.note(Refused::Connection, Some(&peer.ip()), format_args!("too many are open"));
            continue;
        };
        // Taken off this runtime: the core that serves the connection must be the one that is told of its bytes.
        let Ok(stream) = stream.into_std() else { continue };
        let connection = Connection {
            gateway: Arc::clone(&lane.place.gateway),
            protocol: Arc::clone(&protocol),
            peer,
            _seat: (seat, Arc::clone(&lane.open)),
        };
        lane.place.runtime.spawn(connection.run(stream, handshake.clone(), lane.drain.watcher()));
    }
    drop(listener);
    let drained = join_all(lanes.into_iter().map(|lane| lane.drain.shutdown()));
    if timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("requests were still under way when the server ended");
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Out of file descriptors, or a client that gave up: neither gets better by spinning.
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
