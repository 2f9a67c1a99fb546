//! What is shown of a key, by the table of spec 2.11 and the rules around it.

use super::*;
use crate::report::{Failure, chain};
use hsm_client::{HsmError, KeyId, ReturnCode, command::KeyRecord};
use operator_api::{ConnectionState, CustomKeyStore, CustomKeyStoreSpec, CustomKeyStoreStatus, KmsKeySpec};
use operator_domain::key::creation::{Adoption, CreationFacts};

fn key(fingerprint: bool) -> KmsKey {
    let mut key = KmsKey::new("k", KmsKeySpec::default());
    key.spec.key_id = Some("0a1b2c3d-0000-4000-8000-000000000000".into());
    key.spec.material_fingerprint = fingerprint.then(|| "ab".repeat(32));
    key
}

fn observed(state: ConnectionState) -> Observed {
    let spec = CustomKeyStoreSpec { custom_key_store_id: Some("cks-1".into()), ..Default::default() };
    let mut store = CustomKeyStore::new("s", spec);
    store.status = Some(CustomKeyStoreStatus { connection_state: Some(state), ..Default::default() });
    let facts = CreationFacts {
        uid: String::new(),
        namespace: String::new(),
        has_finalizer: true,
        key_id: None,
        intent: None,
        fingerprint: None,
        preconditions: Ok(()),
        adoption: Adoption::Unknown,
        original: None,
        hsms: Vec::new(),
        hsms_are_all_known: true,
    };
    let record = KeyRecord {
        key_id: KeyId([1; 16]),
        handle: 7,
        fingerprint: [2; 32],
        label: "arn:aws:kms:old-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000".into(),
        namespace: "team-a".into(),
        name: "k".into(),
        object_uid: "u".into(),
        op_id: vec![3; 16],
        enabled: true,
        attribute_version: 0,
        conflict: false,
        owner: "kmsuser".into(),
    };
    Observed { store: Some(store), facts, sessions: Vec::new(), holders: Vec::new(), records: vec![record] }
}

fn settled(key: &KmsKey, state: ConnectionState) -> KmsKeyStatus {
    Outcome::settled(observed(state), None).status(key, Timestamp::UNIX_EPOCH)
}

/// Spec 2.11: only CONNECTED shows the base state.
#[test]
fn a_key_is_unavailable_unless_its_store_is_connected() {
    let key = key(true);
    assert_eq!(settled(&key, ConnectionState::Connected).key_state, Some(KeyState::Enabled));
    for state in [
        ConnectionState::Disconnected,
        ConnectionState::Connecting,
        ConnectionState::Disconnecting,
        ConnectionState::Failed,
    ] {
        assert_eq!(settled(&key, state).key_state, Some(KeyState::Unavailable), "{state:?}");
    }
}

/// D8: no state, and no ARN that somebody could use, before the material is durable.
#[test]
fn a_key_without_a_fingerprint_shows_no_state() {
    let status = settled(&key(false), ConnectionState::Connected);
    assert_eq!((status.key_state, status.arn, status.backing_key_handle), (None, None, None));
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "CreatingMaterial"));
}

/// D1: renaming the Region does not rename old keys.
#[test]
fn the_arn_is_the_one_in_the_hsms_record_and_never_changes() {
    let mut key = key(true);
    let status = settled(&key, ConnectionState::Connected);
    assert_eq!(status.arn.as_deref(), Some(observed(ConnectionState::Connected).records[0].label.as_str()));
    key.status = Some(KmsKeyStatus { arn: Some("arn:first".into()), ..KmsKeyStatus::default() });
    assert_eq!(settled(&key, ConnectionState::Connected).arn.as_deref(), Some("arn:first"));
}

/// INV-13.
#[test]
fn lost_material_is_unavailable_and_says_that_it_is_never_replaced() {
    let outcome = Outcome::stopped(observed(ConnectionState::Connected), Problem::MaterialMissing);
    let status = outcome.status(&key(true), Timestamp::UNIX_EPOCH);
    assert_eq!(status.key_state, Some(KeyState::Unavailable));
    let lost = status.conditions.iter().find(|condition| condition.type_ == "MaterialLost").unwrap();
    assert_eq!(lost.status, "True");
}

/// D2: the gateway publishes a key that has a state and an ARN, and those are its original's.
#[test]
fn a_copied_key_shows_neither_state_nor_arn_not_even_one_that_it_showed_while_its_store_was_away() {
    let mut copy = key(true);
    copy.status = Some(KmsKeyStatus { key_state: Some(KeyState::Unavailable), ..KmsKeyStatus::default() });
    let outcome = Outcome::stopped(observed(ConnectionState::Connected), Problem::IdInUse("original".into()));
    let status = outcome.status(&copy, Timestamp::UNIX_EPOCH);
    assert_eq!((status.key_state, status.arn, status.backing_key_handle), (None, None, None));
    let accepted = status.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
    assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", "IdInUse"));
    assert!(accepted.message.contains("KmsKey original"), "{}", accepted.message);
}

/// D2: also an HSM that is away, or an API server that does not answer, makes no original of a copy.
#[test]
fn a_look_that_failed_takes_from_no_copy_that_it_is_one() {
    let mut copy = key(true);
    for problem in [Problem::IdInUse("original".into()), Problem::OriginalGone] {
        let refused = Outcome::stopped(observed(ConnectionState::Connected), problem);
        copy.status = Some(refused.status(&copy, Timestamp::UNIX_EPOCH));
        let after = Outcome::failed(KeyError::Waiting).status(&copy, Timestamp::from_second(100).unwrap());
        assert!(is_refused_copy(&after.conditions), "{:?}", after.conditions);
        assert_eq!((after.key_state, after.arn), (None, None));
    }
    copy.status = None;
    let new = Outcome::failed(KeyError::Waiting).status(&copy, Timestamp::UNIX_EPOCH);
    assert!(!is_refused_copy(&new.conditions));
}

/// INV-49: Disabled is shown only when the HSMs refuse the key.
#[test]
fn a_state_that_could_not_be_set_is_not_shown() {
    let mut key = key(true);
    key.spec.enabled = Some(false);
    key.status = Some(KmsKeyStatus { key_state: Some(KeyState::Enabled), ..KmsKeyStatus::default() });
    let outcome = Outcome::settled(observed(ConnectionState::Connected), Some(KeyError::Waiting));
    assert_eq!(outcome.status(&key, Timestamp::UNIX_EPOCH).key_state, Some(KeyState::Enabled));
    assert_eq!(settled(&key, ConnectionState::Connected).key_state, Some(KeyState::Disabled));
}

/// INV-11, INV-35: a full disk on an HSM that lacks the key keeps no owner from enabling or disabling it, and does not go unsaid.
#[test]
fn a_copy_that_an_hsm_cannot_take_holds_up_no_state_and_is_reported() {
    let full = || KeyError::hsm("insert the key", "hsm-c")(HsmError::Refused(ReturnCode::StorageFull));
    for (enabled, before, after) in
        [(true, KeyState::Disabled, KeyState::Enabled), (false, KeyState::Enabled, KeyState::Disabled)]
    {
        let mut key = key(true);
        key.spec.enabled = Some(enabled);
        key.status = Some(KmsKeyStatus { key_state: Some(before), ..KmsKeyStatus::default() });
        let shown = |error| {
            let outcome = Outcome::settled(observed(ConnectionState::Connected), Some(error));
            outcome.status(&key, Timestamp::UNIX_EPOCH).key_state
        };
        assert_eq!(shown(KeyError::Unrepaired(Box::new(full()))), Some(after));
        assert_eq!(shown(full()), Some(before), "INV-49: an HSM that has the key and could not be told");
    }
    let reported = KeyError::Unrepaired(Box::new(full()));
    assert_eq!(reported.reason(), "UnderReplicated");
    assert!(chain(&reported).contains("insert the key on hsm-c: failed on the HSM"), "{}", chain(&reported));
}

#[test]
fn an_unchanged_key_gives_an_unchanged_status() {
    let mut key = key(true);
    let first = Outcome::settled(observed(ConnectionState::Connected), None).status(&key, Timestamp::UNIX_EPOCH);
    key.status = Some(first.clone());
    let later = Timestamp::from_second(100).unwrap();
    assert_eq!(Outcome::settled(observed(ConnectionState::Connected), None).status(&key, later), first);
}
