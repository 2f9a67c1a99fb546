//! What can go wrong with one command on a session, and whether it may have taken effect.

use hsm_protocol::in_place::NotThisMessage;
use hsm_protocol::{FrameError, ReturnCode, WrongLength};

/// Outcome of a command that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HsmError {
    /// The HSM answered with another return code than success.
    #[error("failed on the HSM: {}", .0.name())]
    Refused(ReturnCode),
    /// The connection ended before the answer came.
    #[error("failed to hear from the HSM: the connection ended")]
    Disconnected,
    /// The session's deadline passed before the answer came.
    #[error("failed to hear from the HSM in time")]
    Timeout,
    /// The peer does not keep to the protocol, or the request does not fit into it.
    #[error("failed to speak with the HSM: {0}")]
    Protocol(String),
}

impl HsmError {
    /// Whether the command may have taken effect all the same: the caller has to *read* what is there, never assume
    /// (INV-23).
    pub fn is_indefinite(&self) -> bool {
        match self {
            Self::Refused(code) => code.is_indefinite(),
            Self::Disconnected | Self::Timeout | Self::Protocol(_) => true,
        }
    }

    /// The HSM's return code, if it gave one.
    pub fn code(&self) -> Option<ReturnCode> {
        match self {
            Self::Refused(code) => Some(*code),
            Self::Disconnected | Self::Timeout | Self::Protocol(_) => None,
        }
    }
}

impl From<WrongLength> for HsmError {
    fn from(source: WrongLength) -> Self {
        Self::Protocol(source.to_string())
    }
}

impl From<NotThisMessage> for HsmError {
    fn from(source: NotThisMessage) -> Self {
        Self::Protocol(source.to_string())
    }
}

impl From<FrameError> for HsmError {
    fn from(source: FrameError) -> Self {
        Self::Protocol(source.to_string())
    }
}
