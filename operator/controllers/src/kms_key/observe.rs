//! The facts about one key: its object, its store, and what every HSM of the store's cluster says about it. Changes nothing.

use futures::future;
use hsm_client::{HsmError, KeyId, ReturnCode, Session, command::KeyRecord, command::KeySearch};
use kube::{Api, ResourceExt};
use operator_api::{CloudHsmCluster, ConnectionState, CustomKeyStore, KmsKey, labels};
use operator_domain::{
    cluster::HsmZones,
    connection::precondition,
    identifier,
    key::creation::{Adoption, CreationFacts, Fingerprint, HsmFacts, HsmRecord, Intent, KeyRecord as Facts},
    refusal::{Exception, Refusal},
};

use super::error::KeyError;
use crate::{
    context::Context,
    custom_key_store::{Member, members},
};

/// One key, seen from everywhere.
pub(super) struct Observed {
    /// Its store.
    pub(super) store: Option<CustomKeyStore>,
    /// For the plan.
    pub(super) facts: CreationFacts,
    /// The sessions through which the HSMs were asked, by id.
    pub(super) sessions: Vec<Session>,
    /// The records of this namespace that were found, as the HSMs gave them.
    pub(super) records: Vec<KeyRecord>,
}

/// Whether the keys of a store may be used.
pub(super) fn is_connected(store: &CustomKeyStore) -> bool {
    store.status.as_ref().and_then(|status| status.connection_state) == Some(ConnectionState::Connected)
}

/// Reads store and cluster, and asks every HSM that the store has a session with.
pub(super) async fn observe(context: &Context, key: &KmsKey) -> Result<Observed, KeyError> {
    let store = store(context, key).await?;
    let connected = store.as_ref().filter(|store| is_connected(store));
    let members = match connected {
        Some(store) => cluster(context, store).await?.map(|cluster| members(&cluster)).unwrap_or_default(),
        None => Vec::new(),
    };
    let sessions = connected.map(|store| sessions(context, store)).unwrap_or_default();
    let key_id = key.spec.key_id.as_deref().map(parse_id).transpose()?;
    let answers = match key_id {
        Some(id) => future::join_all(sessions.iter().map(|session| read(session, id))).await,
        None => Vec::new(),
    };
    let adoption = match key_id {
        Some(_) => Adoption::Unknown,
        None => adoption(key, members.len(), &sessions).await,
    };
    let hsms = members.iter().filter_map(|member| hsm(member, &sessions, &answers, key_id.is_some())).collect();
    let facts = CreationFacts {
        uid: key.uid().unwrap_or_default(),
        namespace: key.namespace().unwrap_or_default(),
        has_finalizer: key.finalizers().iter().any(|finalizer| finalizer == labels::KEY_FINALIZER),
        key_id: key_id.map(|id| identifier::KeyId::from_bytes(id.0)),
        intent: key.spec.material_intent.as_ref().map(intent),
        fingerprint: key.spec.material_fingerprint.as_deref().map(parse_fingerprint).transpose()?,
        preconditions: preconditions(store.as_ref(), &members),
        adoption,
        hsms,
    };
    // As the plan does: what belongs to another namespace is as good as absent (INV-67).
    let ours = |record: &KeyRecord| record.namespace == facts.namespace;
    let records = answers.into_iter().filter_map(|answer| answer.ok().flatten()).filter(ours).collect();
    Ok(Observed { store, facts, sessions, records })
}

fn intent(intent: &operator_api::kms_key::MaterialIntent) -> Intent {
    Intent {
        uid: intent.uid.clone(),
        op_id: intent.op_id.clone(),
        hsm_id: intent.hsm_id.as_deref().and_then(|id| id.parse().ok()),
    }
}

async fn store(context: &Context, key: &KmsKey) -> Result<Option<CustomKeyStore>, KeyError> {
    let Some(reference) = &key.spec.custom_key_store_ref else { return Ok(None) };
    let namespace = key.namespace().unwrap_or_default();
    // A key that is finished changes nothing from here, and there are a hundred thousand of them: the cache will do.
    if key.spec.material_fingerprint.is_some()
        && let Some(cached) = context.stores.find(&namespace, &reference.name)
    {
        return Ok(Some((*cached).clone()));
    }
    let api = Api::<CustomKeyStore>::namespaced(context.client.clone(), &namespace);
    api.get_opt(&reference.name).await.map_err(KeyError::read("the CustomKeyStore"))
}

async fn cluster(context: &Context, store: &CustomKeyStore) -> Result<Option<CloudHsmCluster>, KeyError> {
    let api = Api::<CloudHsmCluster>::namespaced(context.client.clone(), &store.namespace().unwrap_or_default());
    api.get_opt(&store.spec.cloud_hsm_cluster_ref.name).await.map_err(KeyError::read("the CloudHsmCluster"))
}

fn sessions(context: &Context, store: &CustomKeyStore) -> Vec<Session> {
    let generation = store.status.as_ref().and_then(|status| status.connection_generation).unwrap_or(0);
    let generation = u64::try_from(generation).unwrap_or(0);
    let sessions = context.connections.sessions(&store.uid().unwrap_or_default(), generation);
    let deadline = context.settings.hsm_timeout;
    sessions.into_values().map(|logged_in| logged_in.session.with_deadline(deadline)).collect()
}

async fn read(session: &Session, key_id: KeyId) -> Result<Option<KeyRecord>, HsmError> {
    match session.read_key(key_id).await {
        Ok(record) => Ok(Some(record)),
        Err(HsmError::Refused(ReturnCode::InvalidObjectHandle)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks every HSM for material under this namespace and name (D2).
async fn adoption(key: &KmsKey, members: usize, sessions: &[Session]) -> Adoption {
    let search =
        KeySearch { namespace: key.namespace().unwrap_or_default(), name: key.name_any(), after: None, limit: 1 };
    let answers = future::join_all(sessions.iter().map(|session| session.find_keys(&search))).await;
    let answered: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
    let found = answered.iter().find_map(|page| page.keys.first());
    let found = found.map(|record| identifier::KeyId::from_bytes(record.key_id.0));
    Adoption::from_answers(members, answered.len(), found)
}

fn hsm(
    member: &Member,
    sessions: &[Session],
    answers: &[Result<Option<KeyRecord>, HsmError>],
    asked_for_key: bool,
) -> Option<HsmFacts> {
    let at = sessions.iter().position(|session| session.identity().hsm_id == member.hsm_id);
    let record = match at.map(|at| answers.get(at)) {
        Some(Some(Ok(Some(record)))) => HsmRecord::Present(facts(record)),
        Some(Some(Ok(None))) => HsmRecord::Absent,
        // Without a key id there is nothing to ask for: an HSM with a session can generate.
        Some(None) if !asked_for_key => HsmRecord::Absent,
        Some(_) | None => HsmRecord::Unknown,
    };
    Some(HsmFacts { hsm_id: member.hsm_id.parse().ok()?, zone: member.availability_zone.parse().ok()?, record })
}

fn facts(record: &KeyRecord) -> Facts {
    Facts {
        fingerprint: record.fingerprint,
        op_id: hex::encode(&record.op_id),
        namespace: record.namespace.clone(),
        conflict: record.conflict,
    }
}

/// The checks of CreateKey (spec 3.5).
fn preconditions(store: Option<&CustomKeyStore>, members: &[Member]) -> Result<(), Refusal> {
    let refuse = |exception, message: &str| Err(Refusal::new(exception, message));
    let Some(store) = store.filter(|store| store.spec.custom_key_store_id.is_some()) else {
        return refuse(Exception::CustomKeyStoreNotFound, "the custom key store does not exist or is not accepted");
    };
    if !is_connected(store) {
        return refuse(Exception::CustomKeyStoreInvalidState, "the custom key store is not CONNECTED");
    }
    let zones: HsmZones = members
        .iter()
        .filter(|member| member.active)
        .filter_map(|member| member.availability_zone.parse().ok())
        .collect();
    precondition::create_key(&zones)
}

/// `spec.keyId` as the wire has it.
pub(super) fn parse_id(text: &str) -> Result<KeyId, KeyError> {
    let id: identifier::KeyId = text.parse().map_err(|_| KeyError::Malformed("spec.keyId"))?;
    Ok(KeyId(*id.as_bytes()))
}

fn parse_fingerprint(text: &str) -> Result<Fingerprint, KeyError> {
    let mut bytes = Fingerprint::default();
    hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::Malformed("spec.materialFingerprint"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_api::{CustomKeyStoreSpec, CustomKeyStoreStatus};

    fn store(state: ConnectionState) -> CustomKeyStore {
        let spec = CustomKeyStoreSpec { custom_key_store_id: Some("cks-1".into()), ..CustomKeyStoreSpec::default() };
        let mut store = CustomKeyStore::new("s", spec);
        store.status = Some(CustomKeyStoreStatus { connection_state: Some(state), ..Default::default() });
        store
    }

    fn member(zone: &str, active: bool) -> Member {
        Member { hsm_id: format!("hsm-{zone}"), availability_zone: zone.into(), active, endpoint: None }
    }

    fn refused(store: Option<&CustomKeyStore>, members: &[Member]) -> Option<&'static str> {
        preconditions(store, members).err().map(|refusal| refusal.exception.as_str())
    }

    /// Spec 3.5: the first three rows.
    #[test]
    fn a_key_needs_a_connected_store_and_two_zones() {
        let two = [member("local-1a", true), member("local-1b", true)];
        let connected = store(ConnectionState::Connected);
        assert_eq!(refused(Some(&connected), &two), None);
        assert_eq!(refused(None, &two), Some("CustomKeyStoreNotFoundException"));
        for state in [ConnectionState::Disconnected, ConnectionState::Connecting, ConnectionState::Failed] {
            assert_eq!(refused(Some(&store(state)), &two), Some("CustomKeyStoreInvalidStateException"));
        }
        let one_zone = [member("local-1a", true), member("local-1b", false)];
        assert_eq!(refused(Some(&connected), &one_zone), Some("CloudHsmClusterInvalidConfigurationException"));
    }

    /// INV-13: silence of an HSM is not absence of the key.
    #[test]
    fn an_hsm_without_a_session_is_unknown_and_never_absent() {
        let facts =
            hsm(&Member { hsm_id: "hsm-aaaaaaaaaaa".into(), ..member("local-1a", true) }, &[], &[], true).unwrap();
        assert_eq!(facts.record, HsmRecord::Unknown);
        let facts =
            hsm(&Member { hsm_id: "hsm-aaaaaaaaaaa".into(), ..member("local-1a", true) }, &[], &[], false).unwrap();
        assert_eq!(facts.record, HsmRecord::Unknown);
    }

    #[test]
    fn identifiers_and_fingerprints_that_cannot_be_read_stop_the_reconcile() {
        assert!(parse_id("0a1b2c3d-0000-4000-8000-000000000000").is_ok());
        assert!(parse_id("key").is_err());
        assert!(parse_fingerprint(&"ab".repeat(32)).is_ok());
        assert!(parse_fingerprint("ab").is_err());
    }
}
