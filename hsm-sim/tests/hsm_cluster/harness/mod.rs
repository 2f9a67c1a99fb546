//! Three real hsm-sim processes on loopback addresses of their own, with the operator's procedure around them.

mod access;
pub(crate) mod cluster;
pub(crate) mod custody;
pub(crate) mod network;
pub(crate) mod process;

pub(crate) use cluster::Cluster;
