//! What a connection with many requests in flight can do at best: frames that come back as they are, over plain TCP and
//! over two nested TLS layers, with the same coalescing of writes as the HSM session has.

pub(crate) mod client;
pub(crate) mod server;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::certificates::Credentials;

/// A frame: length of what follows, id, and bytes that nobody looks at; 64 bytes, about what an Encrypt is on the wire.
pub(crate) const FRAME: usize = 64;
/// Where the id of a frame lies.
pub(crate) const ID: std::ops::Range<usize> = 4..12;
/// Size of buffers: two TLS records.
pub(crate) const BUFFER: usize = 32 * 1_024;

/// Settings of an echo server. Has no `Debug`: it holds a key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Certificates of both layers; none for plain TCP.
    pub(crate) nested: Option<Credentials>,
}

/// Where it listens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Listening(pub(crate) SocketAddr);
