//! Protocol P2: how key material comes to exist exactly once (INV-01, INV-06, INV-13, INV-19…23, D2, D8).
//!
//! A pure planner: from what the object and the HSMs say to the next step. Recovery needs nothing else, because each step
//! is idempotent and the plan always re-enters at the first unfinished one. Nothing is remembered between two calls.

mod facts;
mod plan;

pub use facts::{Adoption, CreationFacts, Fingerprint, HsmFacts, HsmRecord, Intent, KeyRecord, Original};
pub use plan::{CreationStep, Problem, next_step};

#[cfg(test)]
mod tests;
