//! CloudHSM clusters: states from facts, HSMs counted by zone, and which pod is whose HSM (spec 1.2, 1.5, D8, D18).

mod placement;
mod state;
mod zones;

pub use placement::{Assignment, PlacementProblem, PodFacts, assign};
pub use state::{ClusterProgress, ClusterState, HsmProgress, HsmState};
pub use zones::HsmZones;
