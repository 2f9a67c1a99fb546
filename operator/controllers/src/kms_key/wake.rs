//! Which changes elsewhere are a reason to look at keys again. There may be a hundred thousand of them, so what concerns only unfinished keys
//! wakes no others; a missed wake only costs time (INV-72).

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;
use operator_api::{CloudHsmCluster, CustomKeyStore, KmsKey};

use crate::conditions::holds;
use crate::custom_key_store::members;

/// What is hashed is compared within this process only.
pub(super) const HASHER: BuildHasherDefault<DefaultHasher> = BuildHasherDefault::new();

/// What of a store matters to all its keys: not the count of keys in its status, or each new key would wake all others.
pub(super) fn connection(store: &CustomKeyStore) -> Option<u64> {
    let status = store.status.as_ref();
    Some(HASHER.hash_one((store.uid(), status.map(|status| (status.connection_state, status.connection_generation)))))
}

/// What of a store matters to its unfinished keys: which HSMs have come into service for it, or left.
pub(super) fn service(store: &CustomKeyStore) -> Option<u64> {
    let conditions = store.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let pending = conditions.iter().find(|condition| condition.type_ == "CredentialsPending");
    Some(HASHER.hash_one((store.uid(), pending.map(|condition| &condition.message))))
}

/// What of a cluster matters to unfinished keys: which HSMs are active in which zones (D8).
pub(super) fn active_hsms(cluster: &CloudHsmCluster) -> Option<u64> {
    let active: Vec<_> = members(cluster).into_iter().filter(|member| member.active).collect();
    let places: Vec<_> = active.iter().map(|member| (&member.hsm_id, &member.availability_zone)).collect();
    Some(HASHER.hash_one((cluster.uid(), places)))
}

/// What the last wake of each store's keys saw of the store; clones share it.
///
/// The wake comes from a watch of its own. A look that it caused must not read an older state from the store controller's cache: nothing would
/// wake the key again, and a key would stay Unavailable until the next look at everything although its store is connected.
#[derive(Clone, Default)]
pub struct WokenBy(Arc<Mutex<HashMap<(String, String), u64>>>);

impl WokenBy {
    /// Notes what is about to wake keys.
    pub(super) fn note(&self, store: &CustomKeyStore) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connection(store) {
            seen.insert((store.namespace().unwrap_or_default(), store.name_any()), connection);
        }
    }

    /// Whether a cached store is as the last wake saw it.
    pub(super) fn agrees(&self, cached: &CustomKeyStore) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.get(&(cached.namespace().unwrap_or_default(), cached.name_any()));
        known.is_some() && known.copied() == connection(cached)
    }
}

/// Whether the key is in the store.
pub(super) fn is_in(key: &KmsKey, store: &str) -> bool {
    key.spec.custom_key_store_ref.as_ref().is_some_and(|reference| reference.name == store)
}

/// Whether something about the key is still to be done or to be repaired.
pub(super) fn is_unfinished(key: &KmsKey) -> bool {
    let status = key.status.as_ref();
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    !holds(conditions, "Ready") || status.and_then(|status| status.observed_generation) != key.metadata.generation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{Finding, merge};
    use jiff::Timestamp;
    use operator_api::{
        CloudHsmClusterSpec, CloudHsmClusterStatus, ConnectionState, CustomKeyStoreSpec, CustomKeyStoreStatus,
        KmsKeySpec, KmsKeyStatus,
        cloud_hsm_cluster::{Hsm, HsmState},
    };

    fn store(keys: i64, pending: Option<&str>) -> CustomKeyStore {
        let mut store = CustomKeyStore::new("s", CustomKeyStoreSpec::default());
        let findings =
            pending.map(|message| Finding::new("CredentialsPending", true, "HsmBehindOrUnreachable", message));
        store.status = Some(CustomKeyStoreStatus {
            connection_state: Some(ConnectionState::Connected),
            key_count: Some(keys),
            conditions: merge(&[], findings.into_iter().collect(), None, Timestamp::UNIX_EPOCH),
            ..CustomKeyStoreStatus::default()
        });
        store
    }

    #[test]
    fn a_new_key_wakes_no_other_and_a_returning_hsm_only_unfinished_ones() {
        assert_eq!(connection(&store(1, None)), connection(&store(2, None)));
        assert_eq!(service(&store(1, None)), service(&store(2, None)));
        assert_eq!(connection(&store(1, Some("hsm-a"))), connection(&store(1, None)));
        assert_ne!(service(&store(1, Some("hsm-a"))), service(&store(1, None)));
        let mut disconnected = store(1, None);
        disconnected.status.as_mut().unwrap().connection_state = Some(ConnectionState::Disconnected);
        assert_ne!(connection(&disconnected), connection(&store(1, None)));
    }

    #[test]
    fn a_cached_store_that_lags_behind_the_last_wake_is_not_believed() {
        let (woken_by, connected) = (WokenBy::default(), store(1, None));
        let mut connecting = connected.clone();
        connecting.status.as_mut().unwrap().connection_state = Some(ConnectionState::Connecting);
        assert!(!woken_by.agrees(&connected), "no wake, no word");
        woken_by.note(&connecting);
        assert!(woken_by.agrees(&connecting) && !woken_by.agrees(&connected));
        woken_by.note(&connected);
        assert!(woken_by.agrees(&store(2, None)) && !woken_by.agrees(&connecting));
    }

    fn cluster(state: HsmState, message: Option<&str>) -> CloudHsmCluster {
        let hsm = Hsm {
            hsm_id: "hsm-aaaaaaaaaaa".into(),
            availability_zone: "local-1a".into(),
            pod_name: "pod".into(),
            eni_ip: None,
            state,
            state_message: message.map(Into::into),
            identity_fingerprint: "ab".repeat(32),
            host_certificate_fingerprint: None,
            client_port: 2223,
            peer_port: 2224,
        };
        let mut cluster = CloudHsmCluster::new("c", CloudHsmClusterSpec::default());
        cluster.status = Some(CloudHsmClusterStatus { hsms: vec![hsm], ..CloudHsmClusterStatus::default() });
        cluster
    }

    #[test]
    fn a_cluster_wakes_keys_when_an_hsm_becomes_active_and_not_when_it_says_something() {
        assert_ne!(active_hsms(&cluster(HsmState::Active, None)), active_hsms(&cluster(HsmState::Degraded, None)));
        assert_eq!(active_hsms(&cluster(HsmState::Active, None)), active_hsms(&cluster(HsmState::Active, Some("up"))));
    }

    #[test]
    fn a_ready_key_is_finished_until_its_owner_changes_it() {
        let mut key = KmsKey::new("k", KmsKeySpec::default());
        key.metadata.generation = Some(3);
        assert!(is_unfinished(&key));
        let conditions = merge(&[], vec![Finding::new("Ready", true, "Enabled", "")], Some(3), Timestamp::UNIX_EPOCH);
        key.status = Some(KmsKeyStatus { conditions, observed_generation: Some(3), ..KmsKeyStatus::default() });
        assert!(!is_unfinished(&key));
        key.metadata.generation = Some(4);
        assert!(is_unfinished(&key));
    }
}
