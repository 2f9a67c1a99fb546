//! The connection of a custom key store to its cluster: five states, eighteen error codes (spec 2.2, 2.6–2.8).
//!
//! [`step`] decides every state × event pair. [`ConnectStep`] orders the work of a connect. [`precondition`] holds the
//! checks that fail fast, [`kmsuser`] what the HSMs say about the user, [`wish`] what a manifest asks for (D17), [`drain`] when
//! a disconnect is done (D12), [`left_claim`] which claims in HSMs nobody will give back (INV-41).

mod connect_step;
pub mod drain;
mod effect;
mod error_code;
mod event;
pub mod kmsuser;
pub mod left_claim;
pub mod precondition;
mod state;
mod step;
pub mod wish;

pub use connect_step::ConnectStep;
pub use effect::Effect;
pub use error_code::ConnectionErrorCode;
pub use event::Event;
pub use state::{ConnectionState, ConnectionStateName, InconsistentStatus};
pub use step::{CONNECT_TIME_LIMIT_SECONDS, InvalidState, Step, step};
