//! How a cluster of blank HSMs becomes an active one, without Kubernetes (architecture, "Initialisation order").
//!
//! [`Procedure::observe`] collects facts, [`next_step`] decides purely, [`Procedure::perform`] does one step. The caller
//! records what only it can record (set-once fields) and calls again; a crash anywhere is resumed by observing anew.
//!
//! May import of this workspace: `hsm-client`. Never imports: `kube`, `k8s-openapi`, `rustls`. (Custody and sessions come
//! in as traits and values.)

pub mod custody;
pub mod password;
pub mod ring;

mod error;
mod fence;
mod observed;
mod plan;
mod procedure;
mod step;

pub use custody::{Custody, CustodyError, SecretEntries, SecretName};
pub use error::InitializationError;
pub use fence::{Fencing, NoFence};
pub use observed::{Observed, ObservedHsm, ObservedUsers, RosterDue};
pub use plan::{ClusterPlan, InitializationIntent, PlannedPod, PodAddresses, Recorded, RecordedHsm};
pub use procedure::Procedure;
pub use step::{Blocked, Phase, Step, Waiting, next_step, phase};
