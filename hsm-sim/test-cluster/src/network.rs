//! Addresses for HSM processes: every process of every test has a loopback address of its own, so that all can use the
//! real port numbers and none can meet another, also when several test binaries run at once.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

/// Clusters that one test process may make: the last byte of the address has room for three HSMs of each.
const MOST_CLUSTERS: u8 = 80;

static NEXT: AtomicU8 = AtomicU8::new(0);

/// Three addresses in 127.0.0.0/8 that nobody else has.
pub fn three_addresses() -> [Ipv4Addr; 3] {
    let cluster = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(cluster < MOST_CLUSTERS, "too many clusters in one test process");
    let [.., high, low] = std::process::id().to_be_bytes();
    // 127.64.0.0 to 127.127.255.255: below are the well-known 127.0.0.x, above (127.177) the blocks of the tests with a control plane.
    [0, 1, 2].map(|hsm| Ipv4Addr::new(127, 64 | (high & 0x7f), low, 10 + 3 * cluster + hsm))
}
