//! KMS keys: which state is shown, which operation a state allows, how material comes to exist.

pub mod creation;
pub mod deletion;
mod operation;
mod state;

pub use operation::{KeyOperation, permit};
pub use state::{BaseState, KeyState};
