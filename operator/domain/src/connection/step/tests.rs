//! Every state × every event against the table of spec 2.2, and random walks.

use super::*;
use crate::connection::ConnectionErrorCode::{self, InternalError, UserLockedOut};
use proptest::prelude::*;
use strum::IntoEnumIterator;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);
const EARLIER: Timestamp = Timestamp::from_unix_seconds(999_990);

const STATES: [ConnectionState; 5] = [
    ConnectionState::Disconnected,
    ConnectionState::Connecting { since: EARLIER },
    ConnectionState::Connected,
    ConnectionState::Failed(UserLockedOut),
    ConnectionState::Disconnecting,
];

/// Columns: DISCONNECTED, CONNECTING, CONNECTED, FAILED, DISCONNECTING. Cells: the state after it by its first letters,
/// `=` for no change, `ISE` for CustomKeyStoreInvalidStateException. The first eight rows are the table of spec 2.2.
const TABLE: [(Event, [&str; 5]); 13] = [
    (Event::Connect, ["CONNECTING", "=", "=", "ISE", "ISE"]),
    (Event::Disconnect, ["ISE", "DISCONNECTING", "DISCONNECTING", "DISCONNECTING", "ISE"]),
    (Event::UpdateName, ["=", "ISE", "=", "ISE", "ISE"]),
    (Event::UpdateProperties, ["=", "ISE", "ISE", "ISE", "ISE"]),
    (Event::Delete, ["=", "ISE", "ISE", "ISE", "ISE"]),
    (Event::Describe, ["=", "=", "=", "=", "="]),
    (Event::CreateKey, ["ISE", "ISE", "=", "ISE", "ISE"]),
    (Event::GenerateRandom, ["ISE", "ISE", "=", "ISE", "ISE"]),
    (Event::ConnectSucceeded, ["=", "CONNECTED", "=", "=", "="]),
    (Event::ConnectFailed(InternalError), ["=", "FAILED", "=", "=", "="]),
    (Event::DisconnectFinished, ["=", "=", "=", "=", "DISCONNECTED"]),
    (Event::ClusterLost, ["=", "=", "=", "=", "="]),
    (Event::Tick, ["=", "=", "=", "=", "="]),
];

/// Fails to compile when an event is added, so that the table above gets its row.
fn row_of(event: Event) -> usize {
    match event {
        Event::Connect => 0,
        Event::Disconnect => 1,
        Event::UpdateName => 2,
        Event::UpdateProperties => 3,
        Event::Delete => 4,
        Event::Describe => 5,
        Event::CreateKey => 6,
        Event::GenerateRandom => 7,
        Event::ConnectSucceeded => 8,
        Event::ConnectFailed(_) => 9,
        Event::DisconnectFinished => 10,
        Event::ClusterLost => 11,
        Event::Tick => 12,
    }
}

#[test]
fn all_65_pairs_of_state_and_event_follow_the_table_of_2_2() {
    for (row, (event, cells)) in TABLE.into_iter().enumerate() {
        assert_eq!(row_of(event), row);
        for (state, cell) in STATES.into_iter().zip(cells) {
            let answer = step(&state, event, NOW);
            match cell {
                "ISE" => assert_eq!(answer, Err(InvalidState { state, event })),
                "=" => assert_eq!(answer, Ok(Step { state, effects: vec![] }), "{state:?} {event:?}"),
                name => {
                    let answer = answer.unwrap_or_else(|error| panic!("{state:?} {event:?}: {error}"));
                    assert_eq!(answer.state.name().as_str(), name, "{state:?} {event:?}");
                }
            }
        }
    }
}

#[test]
fn a_refused_call_is_a_custom_key_store_invalid_state_exception() {
    let refusal = Refusal::from(step(&ConnectionState::Failed(UserLockedOut), Event::Connect, NOW).unwrap_err());
    assert_eq!(refusal.exception.as_str(), "CustomKeyStoreInvalidStateException");
    assert!(refusal.message.contains("FAILED"), "{}", refusal.message);
}

#[test]
fn every_disconnect_drops_the_generation_before_it_logs_out_and_releases_the_network_d12() {
    for state in STATES {
        let Ok(answer) = step(&state, Event::Disconnect, NOW) else { continue };
        let at = |effect| answer.effects.iter().position(|e| *e == effect).expect("part of every disconnect");
        assert!(at(Effect::DropGeneration) < at(Effect::AwaitGateways), "{state:?}");
        assert!(at(Effect::AwaitGateways) < at(Effect::LogOut), "{state:?}");
        assert!(at(Effect::LogOut) < at(Effect::ReleaseNetwork), "{state:?}");
    }
}

#[test]
fn a_failed_connect_logs_out_and_keeps_its_code_cks_51() {
    for code in ConnectionErrorCode::iter() {
        let answer = step(&ConnectionState::Connecting { since: EARLIER }, Event::ConnectFailed(code), NOW).unwrap();
        assert_eq!(answer.state, ConnectionState::Failed(code));
        assert!(answer.effects.contains(&Effect::LogOut) && answer.effects.contains(&Effect::RecordLastError));
    }
}

#[test]
fn a_connect_that_takes_20_minutes_fails_with_internal_error() {
    let connecting = ConnectionState::Connecting { since: NOW };
    let at = |seconds| step(&connecting, Event::Tick, NOW.plus_seconds(seconds)).unwrap().state;
    assert_eq!(at(CONNECT_TIME_LIMIT_SECONDS - 1), connecting);
    assert_eq!(at(CONNECT_TIME_LIMIT_SECONDS), ConnectionState::Failed(InternalError));
}

fn any_event() -> impl Strategy<Value = Event> {
    let code = prop::sample::select(ConnectionErrorCode::iter().collect::<Vec<_>>());
    (0..TABLE.len(), code).prop_map(|(row, code)| match TABLE[row].0 {
        Event::ConnectFailed(_) => Event::ConnectFailed(code),
        event @ (Event::Connect
        | Event::Disconnect
        | Event::UpdateName
        | Event::UpdateProperties
        | Event::Delete
        | Event::Describe
        | Event::CreateKey
        | Event::GenerateRandom
        | Event::ConnectSucceeded
        | Event::DisconnectFinished
        | Event::ClusterLost
        | Event::Tick) => event,
    })
}

proptest! {
    #[test]
    fn random_walks_keep_the_rules_of_failed_connected_and_disconnecting(
        events in prop::collection::vec((any_event(), 0..700_i64), 1..60)
    ) {
        use super::super::ConnectionStateName as Name;
        let (mut state, mut now) = (ConnectionState::Disconnected, NOW);
        for (event, seconds) in events {
            now = now.plus_seconds(seconds);
            let Ok(next) = step(&state, event, now) else { continue };
            match (state.name(), next.state.name()) {
                (before, after) if before == after => {
                    prop_assert_eq!(state, next.state);
                    prop_assert!(next.effects.is_empty());
                }
                (before, Name::Failed) => prop_assert_eq!(before, Name::Connecting, "CKS-11"),
                (Name::Failed, after) => prop_assert_eq!((after, event), (Name::Disconnecting, Event::Disconnect), "INV-32"),
                (Name::Disconnecting, after) => prop_assert_eq!(after, Name::Disconnected, "CKS-12"),
                (Name::Connected, _) => prop_assert_eq!(event, Event::Disconnect, "D3"),
                (before, Name::Connected) => prop_assert_eq!(before, Name::Connecting, "INV-33"),
                (Name::Disconnected | Name::Connecting, _) => {}
            }
            state = next.state;
        }
    }
}
