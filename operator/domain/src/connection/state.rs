//! The five connection states. Data lives in the state where it is true: an error code exists in FAILED and nowhere else.

use super::ConnectionErrorCode;
use crate::timestamp::Timestamp;
use strum::{EnumIter, EnumString, IntoStaticStr};
use thiserror::Error;

/// State of the connection between a custom key store and its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Never connected, or disconnected on purpose (CKS-10).
    #[default]
    Disconnected,
    /// A connect was accepted and is being worked on.
    Connecting {
        /// When it was accepted.
        since: Timestamp,
    },
    /// Every step of a connect succeeded. Stays, whatever happens to the cluster (D3).
    Connected,
    /// A disconnect was accepted and is being worked on.
    Disconnecting,
    /// A connect failed. Stays until the owner asks for a disconnect (INV-32).
    Failed(ConnectionErrorCode),
}

/// AWS `ConnectionState`: the name of a state, as in status and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum ConnectionStateName {
    Disconnected,
    Connecting,
    Connected,
    Disconnecting,
    Failed,
}

impl ConnectionStateName {
    /// AWS's spelling, for example `CONNECTED`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A stored status that no sequence of events can have produced: FAILED without a code, or a code without FAILED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("failed to read the connection status: state {} with error code {}", state.as_str(), code.map_or("none", ConnectionErrorCode::as_str))]
pub struct InconsistentStatus {
    /// The state as stored.
    pub state: ConnectionStateName,
    /// The code as stored.
    pub code: Option<ConnectionErrorCode>,
}

impl ConnectionState {
    /// The state that a stored status describes. `since` is when the state was entered; a store without a status is
    /// [`ConnectionState::Disconnected`], its default.
    ///
    /// # Errors
    /// When code and state do not go together (D4).
    pub fn stored(
        state: ConnectionStateName,
        code: Option<ConnectionErrorCode>,
        since: Timestamp,
    ) -> Result<Self, InconsistentStatus> {
        match (state, code) {
            (ConnectionStateName::Disconnected, None) => Ok(Self::Disconnected),
            (ConnectionStateName::Connecting, None) => Ok(Self::Connecting { since }),
            (ConnectionStateName::Connected, None) => Ok(Self::Connected),
            (ConnectionStateName::Disconnecting, None) => Ok(Self::Disconnecting),
            (ConnectionStateName::Failed, Some(code)) => Ok(Self::Failed(code)),
            (state, code) => Err(InconsistentStatus { state, code }),
        }
    }

    /// The state's name on the wire.
    pub fn name(&self) -> ConnectionStateName {
        match self {
            Self::Disconnected => ConnectionStateName::Disconnected,
            Self::Connecting { .. } => ConnectionStateName::Connecting,
            Self::Connected => ConnectionStateName::Connected,
            Self::Disconnecting => ConnectionStateName::Disconnecting,
            Self::Failed(_) => ConnectionStateName::Failed,
        }
    }

    /// The error code, which only FAILED has.
    pub fn error_code(&self) -> Option<ConnectionErrorCode> {
        match self {
            Self::Failed(code) => Some(*code),
            Self::Disconnected | Self::Connecting { .. } | Self::Connected | Self::Disconnecting => None,
        }
    }

    /// Whether keys of the store may be used (spec 2.11).
    pub fn is_connected(&self) -> bool {
        self.name() == ConnectionStateName::Connected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn a_status_has_a_code_exactly_when_it_is_failed_d4() {
        let since = Timestamp::from_unix_seconds(7);
        let codes = || ConnectionErrorCode::iter().map(Some).chain([None]);
        for name in ConnectionStateName::iter() {
            for code in codes() {
                let consistent = (name == ConnectionStateName::Failed) == code.is_some();
                let state = ConnectionState::stored(name, code, since);
                assert_eq!(state.is_ok(), consistent, "{name:?} {code:?}");
                if let Ok(state) = state {
                    assert_eq!((state.name(), state.error_code()), (name, code));
                }
            }
        }
    }
}
