//! Loopback addresses that no other test of this machine is using at the moment.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// The API server's port, etcd's for clients and etcd's for peers; below the range that the kernel gives to outgoing connections.
pub const CONTROL_PLANE_PORTS: [u16; 3] = [6443, 2379, 2380];

/// The host number of a control plane in its [`Block`].
const CONTROL_PLANE: u8 = 20;

/// Where the processes of a [`Block`] listen, as first and last address and ports: the operator's, the first three HSMs, the control plane.
const LISTENERS: [(u8, u8, &[u16]); 3] =
    [(1, 9, &[8080, 8443]), (11, 13, &[2223, 2224, 9090]), (CONTROL_PLANE, CONTROL_PLANE, &CONTROL_PLANE_PORTS)];

/// A block `127.177.<n>.0/24` that belongs to one test until it is dropped. Three hsm-sim processes need the same
/// ports, so each gets an address instead; the lock file keeps test binaries that run at once apart.
#[derive(Debug)]
pub struct Block {
    third: u8,
    _lock: File,
}

impl Block {
    /// Takes the first free block. Processes that a killed test left behind keep their addresses, though its lock is gone: such a block is
    /// not free.
    ///
    /// # Errors
    /// When all 200 are taken or the lock files cannot be made.
    pub fn take() -> Result<Self> {
        let folder = std::env::temp_dir().join("keystore-test-blocks");
        std::fs::create_dir_all(&folder).context("failed to make the folder of the lock files")?;
        for third in 1..=200_u8 {
            let lock = File::options().create(true).truncate(false).write(true).open(folder.join(third.to_string()))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let block = Self { third, _lock: lock };
                if block.is_silent() {
                    return Ok(block);
                }
            }
        }
        bail!("all loopback blocks are taken: are other tests still running, or processes left of one that was killed?")
    }

    /// The address of host `number` (1..=254) in this block.
    #[must_use]
    pub fn address(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 177, self.third, number)
    }

    /// The address of the control plane, when this block is one's.
    #[must_use]
    pub fn control_plane(&self) -> Ipv4Addr {
        self.address(CONTROL_PLANE)
    }

    /// Whether nobody listens where the processes of this block will.
    fn is_silent(&self) -> bool {
        let free = |number: u8, port: u16| TcpListener::bind((self.address(number), port)).is_ok();
        LISTENERS
            .iter()
            .all(|(first, last, ports)| (*first..=*last).all(|number| ports.iter().all(|port| free(number, *port))))
    }
}

/// Forwards a free port of 127.0.0.1 to `target` for the life of this process, and returns the port: certificates name
/// 127.0.0.1 and not the addresses of a [`Block`].
///
/// # Errors
/// When no port can be bound.
pub fn forward(target: &str) -> Result<u16> {
    forward_to_any(vec![target.to_owned()])
}

/// As [`forward`], to the first of `targets` that accepts the connection: what a Service does for replicas that come and go.
///
/// # Errors
/// When no port can be bound.
pub fn forward_to_any(targets: Vec<String>) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Some(server) = targets.iter().find_map(|target| TcpStream::connect(target).ok()) {
                pump(&client, &server);
                pump(&server, &client);
            }
        }
    });
    Ok(port)
}

fn pump(from: &TcpStream, to: &TcpStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut from, &mut to);
        let _closed = to.shutdown(std::net::Shutdown::Write);
    });
}
