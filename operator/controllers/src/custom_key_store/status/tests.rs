//! The moves of the stored state: what each writes, and what it must leave alone.

use super::*;
use operator_api::{ConnectionErrorCode, CustomKeyStoreSpec, custom_key_store::WantedConnection};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn store(status: CustomKeyStoreStatus) -> CustomKeyStore {
    let spec = CustomKeyStoreSpec { connection: Some(WantedConnection::Connected), ..CustomKeyStoreSpec::default() };
    let mut store = CustomKeyStore::new("s", spec);
    store.status = Some(status);
    store
}

fn wrong_password() -> ConnectFailure {
    ConnectFailure::new(ConnectionErrorCode::InvalidCredentials, "hsm-a: login_failure")
}

/// D4, CKS-51: the code lives in FAILED alone; the last error outlives it.
#[test]
fn leaving_failed_takes_the_code_away_and_keeps_the_last_error() {
    let failed = failed(&store(CustomKeyStoreStatus::default()), &wrong_password(), at(10));
    assert_eq!(failed.connection_error_code, Some(ConnectionErrorCode::InvalidCredentials));
    let left = disconnecting(&store(failed), at(20));
    assert_eq!(left.connection_error_code, None);
    let last = left.last_connection_error.unwrap();
    assert_eq!((last.code, last.time.0), (ConnectionErrorCode::InvalidCredentials, at(10)));
}

#[test]
fn the_transition_time_moves_only_with_the_state() {
    let first = moved(&store(CustomKeyStoreStatus::default()), ConnectionState::Connected, at(10));
    let second = moved(&store(first), ConnectionState::Connected, at(20));
    assert_eq!(second.connection_state_transition_time.unwrap().0, at(10));
}

/// D12: a dropped generation never comes back, not even when a backup brought the object back without its status.
#[test]
fn every_connect_has_a_generation_above_all_before() {
    let of = |previous, now| {
        let status = CustomKeyStoreStatus { connection_generation: previous, ..CustomKeyStoreStatus::default() };
        connecting(&store(status), at(now)).connection_generation.unwrap()
    };
    assert!(of(Some(7), 1_000) > 7);
    assert_eq!(of(Some(2_000), 1_000), 2_001, "a clock that went back does not matter");
    assert!(of(None, 3_000) > of(Some(1), 2_000), "a lost status does not matter");
}

/// D17: one change of the attempt is one disconnect.
#[test]
fn a_disconnect_takes_note_of_the_attempt_that_asked_for_it() {
    let mut store = store(CustomKeyStoreStatus {
        connection_state: Some(ConnectionState::Failed),
        connection_error_code: Some(ConnectionErrorCode::NetworkErrors),
        observed_connection_attempt: Some("1".into()),
        ..CustomKeyStoreStatus::default()
    });
    store.spec.connection_attempt = Some("2".into());
    assert_eq!(disconnecting(&store, at(1)).observed_connection_attempt.as_deref(), Some("2"));
}

fn finding(status: &CustomKeyStoreStatus, findings: &Findings, kind: &str) -> Finding {
    conditions_of(status, findings).into_iter().find(|finding| finding.kind == kind).unwrap()
}

#[test]
fn a_failed_store_says_what_was_seen_the_cure_and_the_next_step() {
    let status = failed(&store(CustomKeyStoreStatus::default()), &wrong_password(), at(10));
    let stalled = finding(&status, &Findings::default(), "Stalled");
    assert_eq!((stalled.holds, stalled.reason), (Some(true), "INVALID_CREDENTIALS"));
    for part in ["hsm-a", "keyStorePasswordSecretRef", "connection: DISCONNECTED", "connectionAttempt"] {
        assert!(stalled.message.contains(part), "{part}: {}", stalled.message);
    }
}

/// INV-34: a refusal is no state.
#[test]
fn a_refused_store_is_not_accepted_and_not_failed() {
    let refused = NotAccepted::TrustAnchor("it is not self-signed".into());
    let findings = Findings { not_accepted: Some(refused), ..Findings::default() };
    let status = CustomKeyStoreStatus::default();
    assert_eq!(finding(&status, &findings, "Accepted").reason, "IncorrectTrustAnchorException");
    assert_eq!(finding(&status, &findings, "Ready").reason, "IncorrectTrustAnchorException");
    assert_eq!(finding(&status, &findings, "Stalled").holds, Some(false));
}

/// CKS-10: HSMs that are away are said and change nothing else.
#[test]
fn a_connected_store_with_an_hsm_away_stays_ready_and_names_it() {
    let status = moved(&store(CustomKeyStoreStatus::default()), ConnectionState::Connected, at(1));
    let findings = Findings { credentials_pending: vec!["hsm-b".into()], ..Findings::default() };
    assert_eq!(finding(&status, &findings, "Ready").holds, Some(true));
    assert!(finding(&status, &findings, "CredentialsPending").message.contains("hsm-b"));
}

/// D2: not even with a status that says CONNECTED, which a restore may have brought along.
#[test]
fn a_copied_store_is_never_ready_and_says_whose_its_id_is() {
    let refused = NotAccepted::IdInUse("it belongs to CustomKeyStore original".into());
    let findings = Findings { not_accepted: Some(refused), ..Findings::default() };
    for state in [ConnectionState::Disconnected, ConnectionState::Connected] {
        let status = moved(&store(CustomKeyStoreStatus::default()), state, at(1));
        let (accepted, ready) = (finding(&status, &findings, "Accepted"), finding(&status, &findings, "Ready"));
        assert_eq!((accepted.holds, accepted.reason), (Some(false), "IdInUse"));
        assert!(accepted.message.contains("CustomKeyStore original"), "{}", accepted.message);
        assert_eq!((ready.holds, ready.reason), (Some(false), "IdInUse"), "{state:?}");
    }
}

/// D12: an HSM that missed the end of a connection is not forgotten because the next connect begins; when that one stands, it tells the HSM.
#[test]
fn an_attempt_to_connect_goes_on_saying_which_hsms_were_not_told() {
    let hsms = vec!["hsm-b".to_owned()];
    let unconfirmed = Some(Unconfirmed { hsms, replicas_lost: Vec::new() });
    let untold = Findings { unconfirmed, ..Findings::default() };
    let status = moved(&store(CustomKeyStoreStatus::default()), ConnectionState::Disconnected, at(1));
    let conditions = conditions_after(&store(status.clone()), &status, &untold, at(1));
    let disconnected = store(CustomKeyStoreStatus { conditions, ..status });
    assert!(is_unconfirmed(&disconnected));
    for (next, says) in [
        (ConnectionState::Connecting, true),
        (ConnectionState::Connected, false),
        (ConnectionState::Disconnected, false),
        (ConnectionState::Failed, false),
    ] {
        let status = moved(&disconnected, next, at(2));
        let conditions = conditions_after(&disconnected, &status, &Findings::default(), at(2));
        assert_eq!(is_unconfirmed(&store(CustomKeyStoreStatus { conditions, ..status })), says, "{next:?}");
    }
}
