//! Three real hsm-sim processes on loopback addresses of their own, with the operator's procedure around them.
//!
//! For the tests of the simulator and for the bench: no Kubernetes, secrets in memory. It starts the program `hsm-sim` that
//! lies beside the running test or bench. What fails panics, as in any test.
//!
//! May import of this workspace: `hsm-client`, `hsm-initialization`. Never imports: `hsm-sim`, `kube`, `redb`. (The simulator
//! is started, never linked.)

mod access;
pub mod cluster;
pub mod custody;
pub mod keys;
pub mod network;
pub mod process;

pub use cluster::Cluster;
