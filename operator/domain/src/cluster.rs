//! CloudHSM clusters: states from facts, HSMs counted by zone, where there are pods, which pod is whose HSM and which is replaced, whether all
//! HSMs are known (spec 1.2, 1.5, D8, D12, D18).

mod layout;
mod listing;
mod placement;
mod rollout;
mod state;
mod zones;

pub use layout::{BuiltZones, ZonesRemoved, zones_to_build};
pub use listing::Listing;
pub use placement::{Assignment, PlacementProblem, PodFacts, assign};
pub use rollout::{PodLife, PodStanding, next_to_replace};
pub use state::{ClusterProgress, ClusterState, HsmProgress, HsmState};
pub use zones::HsmZones;
