//! The load: connections spread over threads of this process, as fast as answers come or at a fixed rate.

mod client;
mod closed;
mod open;
mod pace;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio_rustls::TlsConnector;

pub(crate) use closed::closed_loop;
pub(crate) use open::open_loop;

use crate::certificates::NAME;
use client::Client;

/// Where requests go.
#[derive(Clone)]
pub(crate) struct Target {
    /// The gateway.
    pub(crate) address: SocketAddr,
    /// TLS, for HTTPS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Target {
    async fn connect(&self) -> Result<Client> {
        let stream = TcpStream::connect(self.address).await.context("failed to reach the gateway")?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.tls else { return Ok(Client::new(stream)) };
        let connector = TlsConnector::from(Arc::clone(config));
        Ok(Client::new(connector.connect(ServerName::try_from(NAME)?, stream).await?))
    }
}

/// Threads that make the load: no more than the machine has cores, and no more than two, because it shares them with
/// what is measured.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(2)
}

/// Sends each request once, over one connection, and returns the bodies of the answers.
///
/// # Errors
/// When one is not answered with success.
pub(crate) fn once(target: &Target, requests: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut client = target.connect().await?;
        let mut answers = Vec::new();
        for request in requests {
            answers.push(client.exchange(request).await?.to_vec());
        }
        Ok(answers)
    })
}
