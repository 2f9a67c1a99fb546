//! The facts about one key: its object, its store, and what every HSM of the store's cluster says about it. Changes nothing.

use hsm_client::{KeyId, Session, command::KeyRecord};
use kube::{Api, ResourceExt};
use operator_api::{CloudHsmCluster, ConnectionState, CustomKeyStore, KmsKey, RecordedKind, labels};
use operator_domain::{
    cluster::HsmZones,
    connection::precondition,
    identifier,
    key::creation::{Adoption, CreationFacts, Fingerprint, Intent},
    refusal::{Exception, Refusal},
};

use super::{
    ask::{self, Silent, ask},
    error::KeyError,
    holder,
};
use crate::{
    context::Context,
    custom_key_store::{Member, are_all_listed, members, places},
    read::ReadError,
    recovery,
};

/// One key, seen from everywhere.
pub(super) struct Observed {
    /// Its store.
    pub(super) store: Option<CustomKeyStore>,
    /// For the plan.
    pub(super) facts: CreationFacts,
    /// The sessions of the HSMs that answered, in order of their id.
    pub(super) sessions: Vec<Session>,
    /// Those of them whose HSM has the key, for this namespace.
    pub(super) holders: Vec<Session>,
    /// The holders' records, as the HSMs gave them.
    pub(super) records: Vec<KeyRecord>,
}

/// Whether the keys of a store may be used.
pub(super) fn is_connected(store: &CustomKeyStore) -> bool {
    store.status.as_ref().and_then(|status| status.connection_state) == Some(ConnectionState::Connected)
}

/// Reads store and cluster, and asks every HSM that the store has a session with.
pub(super) async fn observe(context: &Context, key: &KmsKey, silent: &mut Silent) -> Result<Observed, KeyError> {
    let store = store(context, key).await?;
    let connected = store.as_ref().filter(|store| is_connected(store));
    let cluster = match connected {
        Some(store) => cluster(context, store).await?,
        None => None,
    };
    let members = cluster.as_ref().map(members).unwrap_or_default();
    let expected = cluster.as_ref().map_or(0, |cluster| expected(cluster, members.len()));
    let sessions = connected.map(|store| sessions(context, store)).unwrap_or_default();
    let key_id = key.spec.key_id.as_deref().map(parse_id).transpose()?;
    let answers = ask(sessions, key, key_id, silent, &context.silences).await;
    let adoption = match key_id {
        Some(_) => Adoption::Unknown,
        None => match former(context, key).await? {
            Some(recorded) => Adoption::Material(recorded),
            None => ask::adoption(expected, answers.iter().map(|answer| answer.record.as_ref())),
        },
    };
    let answer_of = |member: &Member| {
        let answer = answers.iter().find(|answer| answer.session.identity().hsm_id == member.hsm_id);
        answer.map(|answer| answer.record.as_ref())
    };
    let hsms = members.iter().filter_map(|member| ask::facts(member, key_id.is_some(), answer_of(member))).collect();
    let namespace = key.namespace().unwrap_or_default();
    let sessions = answers.iter().map(|answer| answer.session.clone()).collect();
    let answers = answers.into_iter().map(|answer| (answer.session, answer.record));
    let (holders, records) = ask::holders(answers, key_id, &namespace);
    let facts = CreationFacts {
        uid: key.uid().unwrap_or_default(),
        namespace,
        has_finalizer: key.finalizers().iter().any(|finalizer| finalizer == labels::KEY_FINALIZER),
        key_id: key_id.map(|id| identifier::KeyId::from_bytes(id.0)),
        intent: key.spec.material_intent.as_ref().map(intent),
        fingerprint: key.spec.material_fingerprint.as_deref().map(parse_fingerprint).transpose()?,
        preconditions: preconditions(store.as_ref(), &members),
        adoption,
        original: Box::pin(holder::original(context, key, &records)).await?,
        hsms_are_all_known: cluster.is_some_and(|cluster| knows_all(&cluster)),
        hsms,
    };
    Ok(Observed { store, facts, sessions, holders, records })
}

/// The key that the object's name is recorded for: its material may lie in a cluster that the store does not use any more, where no HSM of the
/// present one knows of it (D2, D5).
async fn former(context: &Context, key: &KmsKey) -> Result<Option<identifier::KeyId>, KeyError> {
    let namespace = key.namespace().unwrap_or_default();
    let recorded = recovery::former_identity(context, RecordedKind::KmsKey, &namespace, &key.name_any()).await?;
    recorded.map(|id| id.parse().map_err(|_| KeyError::Malformed("the recovery record"))).transpose()
}

/// Of how many HSMs the question for material under a name is, `listed` of which can be asked at best. A list that has every HSM is enough to tell,
/// whatever became of the spec.
fn expected(cluster: &CloudHsmCluster, listed: usize) -> usize {
    if are_all_listed(cluster) { cluster.spec.availability_zones.len().max(listed) } else { places(cluster) }
}

/// Whether the status has every HSM that there may be, and one for each zone of the spec.
fn knows_all(cluster: &CloudHsmCluster) -> bool {
    let known: Vec<_> = members(cluster).into_iter().map(|member| member.availability_zone).collect();
    are_all_listed(cluster) && cluster.spec.availability_zones.iter().all(|zone| known.contains(zone))
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
    // A key that is finished changes nothing from here, and there are a hundred thousand of them: the cache will do, unless it lags behind what
    // woke the key.
    if key.spec.material_fingerprint.is_some()
        && let Some(cached) = context.stores.find(&namespace, &reference.name)
        && context.woken_by.agrees(&cached)
    {
        return Ok(Some((*cached).clone()));
    }
    let api = Api::<CustomKeyStore>::namespaced(context.client.clone(), &namespace);
    Ok(api.get_opt(&reference.name).await.map_err(ReadError::of("the CustomKeyStore"))?)
}

async fn cluster(context: &Context, store: &CustomKeyStore) -> Result<Option<CloudHsmCluster>, KeyError> {
    let api = Api::<CloudHsmCluster>::namespaced(context.client.clone(), &store.namespace().unwrap_or_default());
    Ok(api.get_opt(&store.spec.cloud_hsm_cluster_ref.name).await.map_err(ReadError::of("the CloudHsmCluster"))?)
}

fn sessions(context: &Context, store: &CustomKeyStore) -> Vec<Session> {
    let generation = store.status.as_ref().and_then(|status| status.connection_generation).unwrap_or(0);
    let generation = u64::try_from(generation).unwrap_or(0);
    let sessions = context.connections.sessions(&store.uid().unwrap_or_default(), generation);
    let deadline = context.settings.hsm_timeout;
    sessions.into_values().map(|logged_in| logged_in.session.with_deadline(deadline)).collect()
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
    use crate::conditions::{Finding, merge};
    use operator_api::cloud_hsm_cluster::HSMS_LISTED;
    use operator_api::{CloudHsmClusterSpec, CloudHsmClusterStatus, CustomKeyStoreSpec, CustomKeyStoreStatus};

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

    /// INV-13, INV-19: (zones of the spec, zones of listed HSMs, conditions that hold) and how many HSMs are to be asked for material under a name, and
    /// whether a key that none of them has is lost.
    #[test]
    fn what_the_listed_hsms_do_not_have_is_nowhere_only_if_no_hsm_can_be_missing_from_the_list() {
        for (spec, listed, conditions, asked, all) in [
            ("abc", "abc", ["Accepted", HSMS_LISTED], 3, true),
            ("abc", "ab", ["Accepted", HSMS_LISTED], 3, false),
            ("ab", "abc", ["", HSMS_LISTED], 3, true),
            ("abc", "ab", ["Accepted", ""], 3, false),
            ("abc", "abc", ["Accepted", ""], 3, false),
            ("ab", "ab", ["", ""], usize::MAX, false),
        ] {
            let status = serde_json::json!({
                "hsms": listed.chars().map(|zone| serde_json::json!({
                    "hsmId": format!("hsm-aaaaaaaaaa{zone}"), "availabilityZone": zone, "podName": "p", "state": "ACTIVE",
                    "identityFingerprint": "ab".repeat(32),
                })).collect::<Vec<_>>(),
            });
            let mut status: CloudHsmClusterStatus = serde_json::from_value(status).unwrap();
            let holding = conditions.into_iter().filter(|kind| !kind.is_empty());
            let found = holding.map(|kind| Finding::new(kind, true, "R", "")).collect();
            status.conditions = merge(&[], found, None, jiff::Timestamp::UNIX_EPOCH);
            let mut cluster = CloudHsmCluster::new("c", CloudHsmClusterSpec::default());
            cluster.spec.availability_zones = spec.chars().map(String::from).collect();
            cluster.status = Some(status);
            let seen = (expected(&cluster, members(&cluster).len()), knows_all(&cluster));
            assert_eq!(seen, (asked, all), "{spec} {listed} {conditions:?}");
        }
    }

    #[test]
    fn identifiers_and_fingerprints_that_cannot_be_read_stop_the_reconcile() {
        assert!(parse_id("0a1b2c3d-0000-4000-8000-000000000000").is_ok());
        assert!(parse_id("key").is_err());
        assert!(parse_fingerprint(&"ab".repeat(32)).is_ok());
        assert!(parse_fingerprint("ab").is_err());
    }
}
