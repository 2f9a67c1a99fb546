//! From the stored status to the core's types and back: the only place where the two meet.

use jiff::Timestamp;
use operator_api::{ConnectionState as Shown, CustomKeyStore, custom_key_store::WantedConnection};
use operator_domain::{
    connection::{ConnectionState, ConnectionStateName, InconsistentStatus, wish::Wish},
    timestamp::Timestamp as Instant,
};

use super::failure;

/// The core's view of a point in time.
pub(super) fn instant(time: Timestamp) -> Instant {
    Instant::from_unix_seconds(time.as_second())
}

/// The stored connection state; a store without a status is DISCONNECTED.
///
/// # Errors
/// [`InconsistentStatus`]; CEL lets no such status in.
pub(super) fn stored(store: &CustomKeyStore) -> Result<ConnectionState, InconsistentStatus> {
    let Some(status) = &store.status else { return Ok(ConnectionState::Disconnected) };
    let since = status.connection_state_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let name = name(status.connection_state.unwrap_or(Shown::Disconnected));
    ConnectionState::stored(name, status.connection_error_code.map(failure::to_domain), instant(since))
}

fn name(shown: Shown) -> ConnectionStateName {
    match shown {
        Shown::Disconnected => ConnectionStateName::Disconnected,
        Shown::Connecting => ConnectionStateName::Connecting,
        Shown::Connected => ConnectionStateName::Connected,
        Shown::Disconnecting => ConnectionStateName::Disconnecting,
        Shown::Failed => ConnectionStateName::Failed,
    }
}

/// What the store's owner wants (D17).
pub(super) fn wish(store: &CustomKeyStore) -> Wish<'_> {
    Wish {
        connected: store.spec.connection == Some(WantedConnection::Connected),
        held: store.spec.hold.is_some(),
        attempt: store.spec.connection_attempt.as_deref(),
        observed_attempt: store.status.as_ref().and_then(|status| status.observed_connection_attempt.as_deref()),
        deleted: store.metadata.deletion_timestamp.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_api::{ConnectionErrorCode, CustomKeyStoreSpec, CustomKeyStoreStatus};
    use operator_domain::connection::ConnectionErrorCode as Code;

    fn store(state: Option<Shown>, code: Option<ConnectionErrorCode>) -> CustomKeyStore {
        let mut store = CustomKeyStore::new("s", CustomKeyStoreSpec::default());
        store.status =
            Some(CustomKeyStoreStatus { connection_state: state, connection_error_code: code, ..Default::default() });
        store
    }

    #[test]
    fn a_stored_status_becomes_the_cores_state() {
        let failed = store(Some(Shown::Failed), Some(ConnectionErrorCode::UserLockedOut));
        assert_eq!(stored(&failed), Ok(ConnectionState::Failed(Code::UserLockedOut)));
        assert_eq!(stored(&store(None, None)), Ok(ConnectionState::Disconnected));
        assert_eq!(stored(&CustomKeyStore::new("s", CustomKeyStoreSpec::default())), Ok(ConnectionState::Disconnected));
        assert!(stored(&store(Some(Shown::Failed), None)).is_err());
    }

    /// D17: absent is not CONNECTED.
    #[test]
    fn an_absent_connection_is_no_wish_to_be_connected() {
        let mut store = store(None, None);
        assert!(!wish(&store).connected);
        store.spec.connection = Some(WantedConnection::Connected);
        assert!(wish(&store).connected && !wish(&store).held);
    }
}
