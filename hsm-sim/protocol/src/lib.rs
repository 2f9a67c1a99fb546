//! The wire protocol of one simulated HSM: bytes in, bytes out. No sockets, no clock, no randomness, no cryptography.
//!
//! A message is a fixed 20-byte [`frame::FrameHeader`] and a protobuf body. Which body belongs to which command is
//! one table, [`request::Request`]. What has to be signed or bound to a TLS session is built here too, so that both
//! sides build the same bytes.
//!
//! May import of this workspace: none. Never imports: `tokio`, `rustls`, `aws-lc-rs`, `futures`, `tracing`. (Bytes in,
//! bytes out.)

pub mod blob;
pub mod command;
pub mod frame;
pub mod in_place;
pub mod key_id;
pub mod labels;
pub mod limits;
pub mod message;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod request;
pub mod return_code;
pub mod role;
pub mod signing;
mod wiped;

pub use blob::{BlobError, BlobHeader, BlobVersion};
pub use command::Command;
pub use frame::{Frame, FrameError, FrameHeader, FrameKind};
pub use key_id::{KeyId, WrongLength};
pub use request::Request;
pub use return_code::ReturnCode;
pub use role::ClientRole;
pub use wiped::Wiped;
