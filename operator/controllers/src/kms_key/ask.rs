//! What the HSMs say about a key: one question to each HSM that the store has a session with, all at once.
//!
//! Silence is never absence (INV-13). An HSM that did not answer is not asked again in the same reconcile, so that a frozen one costs one time
//! limit and not one per step; nor, for a moment, in any other, so that it does not cost one per key.

use std::{collections::BTreeSet, time::Instant};

use futures::future;
use hsm_client::{
    HsmError, KeyId, ReturnCode, Session,
    command::{KeyRecord, KeySearch},
};
use kube::ResourceExt;
use operator_api::KmsKey;
use operator_domain::{
    identifier,
    key::creation::{Adoption, HsmFacts, HsmRecord, KeyRecord as Facts},
};

use super::silence::Silences;
use crate::custom_key_store::Member;

/// HSMs that did not answer in this reconcile, by id.
pub(super) type Silent = BTreeSet<String>;

/// An HSM that answered.
pub(super) struct Answer {
    /// The session through which it was asked.
    pub(super) session: Session,
    /// The record of the key id; without a key id, one of the object's namespace and name.
    pub(super) record: Option<KeyRecord>,
}

/// Asks every HSM for the key id, or, while there is none, for material under the object's namespace and name (D2).
pub(super) async fn ask(
    sessions: Vec<Session>,
    key: &KmsKey,
    key_id: Option<KeyId>,
    silent: &mut Silent,
    silences: &Silences,
) -> Vec<Answer> {
    let awake = sessions.into_iter().filter(|session| {
        let hsm = session.identity();
        !silent.contains(&hsm.hsm_id) && silences.may_ask(hsm, Instant::now())
    });
    let question = async |session: Session| {
        let answered = match key_id {
            Some(key_id) => read(&session, key_id).await,
            None => find(&session, key).await,
        };
        silences.note(session.identity(), answered.as_ref().err(), Instant::now());
        (session, answered)
    };
    let answers = future::join_all(awake.map(question)).await;
    let heard = answers.into_iter().filter_map(|(session, answered)| match answered {
        Ok(record) => Some(Answer { session, record }),
        Err(error) => {
            tracing::info!(hsm = session.identity().hsm_id, %error, "an HSM does not say what it knows about a key");
            silent.insert(session.identity().hsm_id.clone());
            None
        }
    });
    heard.collect()
}

async fn read(session: &Session, key_id: KeyId) -> Result<Option<KeyRecord>, HsmError> {
    match session.read_key(key_id).await {
        Ok(record) => Ok(Some(record)),
        Err(HsmError::Refused(ReturnCode::InvalidObjectHandle)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn find(session: &Session, key: &KmsKey) -> Result<Option<KeyRecord>, HsmError> {
    let search =
        KeySearch { namespace: key.namespace().unwrap_or_default(), name: key.name_any(), after: None, limit: 1 };
    Ok(session.find_keys(&search).await?.keys.into_iter().next())
}

/// What the answers to the question for namespace and name mean.
pub(super) fn adoption<'a>(members: usize, answers: impl ExactSizeIterator<Item = Option<&'a KeyRecord>>) -> Adoption {
    let asked = answers.len();
    let found = answers.flatten().next().map(|record| identifier::KeyId::from_bytes(record.key_id.0));
    Adoption::from_answers(members, asked, found)
}

/// Who has the key, and what each of them says. As in the plan, what belongs to another namespace is as good as absent (INV-67), and so is what
/// only has the name.
pub(super) fn holders<S>(
    answers: impl Iterator<Item = (S, Option<KeyRecord>)>,
    key_id: Option<KeyId>,
    namespace: &str,
) -> (Vec<S>, Vec<KeyRecord>) {
    let ours = |record: &KeyRecord| key_id == Some(record.key_id) && record.namespace == namespace;
    answers.filter_map(|(session, record)| Some((session, record.filter(ours)?))).unzip()
}

/// The plan's view of one member; `None` if its id or zone is none. `answer` is absent if it did not answer.
pub(super) fn facts(member: &Member, has_key_id: bool, answer: Option<Option<&KeyRecord>>) -> Option<HsmFacts> {
    let record = match answer {
        None => HsmRecord::Unknown,
        // Without a key id no HSM has it: one that answers can generate it.
        Some(None) => HsmRecord::Absent,
        Some(Some(_)) if !has_key_id => HsmRecord::Absent,
        Some(Some(record)) => HsmRecord::Present(Facts {
            fingerprint: record.fingerprint,
            op_id: hex::encode(&record.op_id),
            namespace: record.namespace.clone(),
            conflict: record.conflict,
        }),
    };
    Some(HsmFacts { hsm_id: member.hsm_id.parse().ok()?, zone: member.availability_zone.parse().ok()?, record })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn member() -> Member {
        Member { hsm_id: "hsm-aaaaaaaaaaa".into(), availability_zone: "local-1a".into(), active: true, endpoint: None }
    }

    /// What an HSM says of key `k` of namespace `team-a`.
    pub(in super::super) fn record() -> KeyRecord {
        KeyRecord {
            key_id: KeyId([1; 16]),
            handle: 7,
            fingerprint: [2; 32],
            label: "arn".into(),
            namespace: "team-a".into(),
            name: "k".into(),
            object_uid: "u".into(),
            op_id: vec![0xab; 2],
            enabled: true,
            attribute_version: 1,
            conflict: true,
            owner: "kmsuser".into(),
        }
    }

    fn seen(has_key_id: bool, answer: Option<Option<&KeyRecord>>) -> HsmRecord {
        facts(&member(), has_key_id, answer).unwrap().record
    }

    /// INV-13; and an intent that named a silent HSM would wait for it, because no other may generate (INV-19).
    #[test]
    fn a_silent_hsm_is_unknown_with_and_without_a_key_id() {
        assert_eq!(seen(true, None), HsmRecord::Unknown);
        assert_eq!(seen(false, None), HsmRecord::Unknown);
        assert_eq!(seen(true, Some(None)), HsmRecord::Absent);
        assert_eq!(seen(false, Some(None)), HsmRecord::Absent);
    }

    #[test]
    fn a_record_goes_into_the_plan_with_all_that_it_decides_on() {
        let record = record();
        let HsmRecord::Present(seen) = seen(true, Some(Some(&record))) else { panic!("it was found") };
        assert_eq!((seen.fingerprint, seen.op_id.as_str(), seen.conflict), ([2; 32], "abab", true));
        assert_eq!(seen.namespace, "team-a");
    }

    /// D2: found by name before there is an id, it is material to adopt and no record of this key.
    #[test]
    fn material_under_the_objects_name_is_adopted_and_not_taken_for_the_new_key() {
        let record = record();
        assert_eq!(seen(false, Some(Some(&record))), HsmRecord::Absent);
        let found = adoption(3, [None, Some(&record)].into_iter());
        assert_eq!(found, Adoption::Material(identifier::KeyId::from_bytes([1; 16])));
        assert_eq!(adoption(3, [None, None].into_iter()), Adoption::Nothing);
        assert_eq!(adoption(3, [None].into_iter()), Adoption::Unknown);
    }

    /// INV-49, INV-67: the state is set where the key is and nowhere else.
    #[test]
    fn only_an_hsm_that_has_the_key_for_this_namespace_is_told_its_state() {
        let other_key = KeyRecord { key_id: KeyId([9; 16]), ..record() };
        let foreign = KeyRecord { namespace: "team-b".into(), ..record() };
        let answers = || {
            let records = [Some(record()), None, Some(other_key.clone()), Some(foreign.clone()), Some(record())];
            ["a", "b", "c", "d", "e"].into_iter().zip(records)
        };
        assert_eq!(holders(answers(), Some(record().key_id), "team-a"), (vec!["a", "e"], vec![record(), record()]));
        assert!(holders(answers(), None, "team-a").0.is_empty(), "found by its name only");
    }

    #[test]
    fn a_member_whose_id_cannot_be_read_is_left_out() {
        assert_eq!(facts(&Member { hsm_id: "x".into(), ..member() }, true, None), None);
    }
}
