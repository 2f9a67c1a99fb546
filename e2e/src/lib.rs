//! The test bench: real servers as child processes, and the waits and checks that the scenario files in `tests/` share.
//!
//! Nothing here imitates a server. `control_plane` runs etcd and kube-apiserver, `pods` runs hsm-sim as a kubelet would
//! run its pods, and `installation` runs the operator under the very RBAC and policies of the chart. What each test
//! starts it owns: processes end with the value that holds them, by their ids.
//!
//! May import of this workspace: `hsm-client`, `hsm-initialization`, `hsm-protocol`, `operator`, `operator-api`,
//! `operator-controllers`, `operator-domain`. Never imports: `hsm-sim`. (The simulator is started, never linked;
//! `sealed_store` reads its files by their description.)

pub mod application;
pub mod binaries;
pub mod chart;
pub mod cluster;
pub mod control_plane;
pub mod crash;
pub mod forward;
pub mod hsm;
pub mod identity;
pub mod installation;
pub mod kubectl;
pub mod load;
pub mod loopback;
pub mod manifests;
pub mod network_policy;
pub mod nodes;
pub mod object;
pub mod officer;
pub mod pods;
pub mod process;
pub mod protection;
pub mod quickstart;
pub mod rbac;
pub mod recovery;
mod release;
pub mod renewals;
pub mod repair;
pub mod ring;
pub mod scenario;
pub mod sdk;
pub mod sealed_store;
pub mod search;
pub mod shared;
pub mod supervised;
pub mod tls;
pub mod wait;
