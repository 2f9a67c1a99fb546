//! Which stores this replica is connected to: pools follow stores, clusters and client identities.
//!
//! A pool exists exactly while its store is CONNECTED under its generation and everything needed is known. On anything
//! else it is taken out of reach at once, and when the last request that uses it has ended it counts as stopped (D12).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use hsm_client::pool::Pool;
use hsm_client::{HsmEndpoint, TrustAnchor};
use operator_api::{CloudHsmCluster, ConnectionState};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::client_identities::ClusterIdentity;
use super::endpoint::endpoint;
use super::feed::ObjectName;
use super::hsm_store::{Connection, HsmStore};
use crate::index::StoreEntry;

/// What is needed of a cluster.
struct Cluster {
    cluster_id: String,
    endpoints: Vec<HsmEndpoint>,
}

#[derive(Default)]
struct Known {
    stores: BTreeMap<ObjectName, StoreEntry>,
    clusters: HashMap<ObjectName, Cluster>,
    identities: HashMap<String, ClusterIdentity>,
    /// Connections taken out of reach whose last requests are not known to have ended.
    stopping: Vec<(String, Arc<Connection>)>,
    /// Highest generation per store id that is known to have stopped.
    stopped: BTreeMap<String, i64>,
}

type Live = HashMap<Arc<str>, (Arc<str>, Arc<Connection>)>;

/// The connected stores of this replica.
pub(super) struct Connections {
    zone: String,
    /// The cores that serve requests.
    runtimes: Vec<Handle>,
    known: Mutex<Known>,
    /// By store id: its namespace, and its connection. Read on every request, never locked.
    live: ArcSwap<Live>,
    /// Told when a connection was taken out of reach.
    pub(super) changed: Notify,
}

impl Connections {
    /// No connections yet. `zone` is this replica's own, empty if unknown; each of `runtimes` gets sessions of its own.
    pub(super) fn new(zone: String, runtimes: &[Handle]) -> Self {
        Self {
            zone,
            runtimes: runtimes.to_vec(),
            known: Mutex::default(),
            live: ArcSwap::default(),
            changed: Notify::new(),
        }
    }

    pub(super) fn put_store(&self, object: ObjectName, store: StoreEntry) {
        let mut known = self.lock();
        known.stores.insert(object, store);
        self.settle(&mut known);
    }

    pub(super) fn remove_store(&self, object: &ObjectName) {
        let mut known = self.lock();
        known.stores.remove(object);
        self.settle(&mut known);
    }

    pub(super) fn retain_stores(&self, present: &HashSet<ObjectName>) {
        let mut known = self.lock();
        known.stores.retain(|object, _| present.contains(object));
        self.settle(&mut known);
    }

    pub(super) fn put_cluster(&self, object: ObjectName, cluster: &CloudHsmCluster) {
        let mut known = self.lock();
        let hsms = cluster.status.as_ref().map(|status| status.hsms.as_slice()).unwrap_or_default();
        let endpoints = hsms.iter().filter_map(endpoint).collect();
        match cluster.spec.cluster_id.clone() {
            Some(cluster_id) => known.clusters.insert(object, Cluster { cluster_id, endpoints }),
            None => known.clusters.remove(&object),
        };
        self.settle(&mut known);
    }

    pub(super) fn remove_cluster(&self, object: &ObjectName) {
        let mut known = self.lock();
        known.clusters.remove(object);
        self.settle(&mut known);
    }

    pub(super) fn retain_clusters(&self, present: &HashSet<ObjectName>) {
        let mut known = self.lock();
        known.clusters.retain(|object, _| present.contains(object));
        self.settle(&mut known);
    }

    /// Takes a client identity. Connections made with the one before go over to it without a gap: the HSMs admit both for a time (D12).
    /// Another trust anchor is another cluster, whose connections begin anew.
    pub(super) fn put_identity(&self, cluster_id: &str, identity: &ClusterIdentity) {
        let mut known = self.lock();
        let present = known.identities.insert(cluster_id.to_owned(), identity.clone());
        let same_anchor = present.as_ref().is_some_and(|present| present.anchor == identity.anchor);
        let certificate = |of: &ClusterIdentity| of.identity.certificate_fingerprint();
        if !same_anchor {
            self.drop_cluster(&mut known, cluster_id);
        } else if present.as_ref().map(certificate) != Some(certificate(identity)) {
            let ids = stores_of(&known, cluster_id);
            let live = self.live.load();
            live.iter()
                .filter(|(id, _)| ids.contains(*id))
                .for_each(|(_, (_, connection))| connection.renew_identity(&identity.identity));
            tracing::info!(cluster_id, stores = ids.len(), "going over to a renewed client certificate");
        }
        self.settle(&mut known);
    }

    pub(super) fn remove_identity(&self, cluster_id: &str) {
        let mut known = self.lock();
        known.identities.remove(cluster_id);
        self.settle(&mut known);
    }

    pub(super) fn retain_identities(&self, keep: impl Fn(&str) -> bool) {
        let mut known = self.lock();
        known.identities.retain(|cluster_id, _| keep(cluster_id));
        self.settle(&mut known);
    }

    /// Which generation of which store has stopped here: none of its requests is under way, and none can begin.
    /// A store whose connection is ending or has ended counts up to its present generation; while it is CONNECTING that
    /// generation is still to come.
    pub(super) fn stopped(&self) -> BTreeMap<String, i64> {
        let mut known = self.lock();
        let Known { stopping, stopped, stores, .. } = &mut *known;
        stopping.retain(|(store_id, connection)| {
            let ended = connection.is_unused();
            if ended {
                raise(stopped, store_id, connection.generation);
            }
            !ended
        });
        let (stores, live) = (&*stores, self.live.load());
        let owners = stores.iter().filter(|(object, store)| has_its_id(stores, object, store));
        for (_, store) in owners.filter(|(_, store)| has_ended(store.state)) {
            let id = &*store.custom_key_store_id;
            if !live.contains_key(id) && !stopping.iter().any(|(stopping, _)| stopping == id) {
                raise(stopped, id, store.generation);
            }
        }
        let present: HashSet<&str> = stores.values().map(|store| &*store.custom_key_store_id).collect();
        stopped.retain(|id, _| present.contains(id.as_str()));
        stopped.clone()
    }

    /// What the requests of core number `core` use of a store's connection.
    pub(super) fn on_core(
        &self,
        core: usize,
        namespace: &str,
        store_id: &str,
        generation: i64,
    ) -> Option<Arc<HsmStore>> {
        let live = self.live.load();
        let (owner, connection) = live.get(store_id)?;
        if **owner == *namespace && connection.generation == generation { connection.on_core(core) } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the live connections in line with what is known.
    fn settle(&self, known: &mut Known) {
        let present = self.live.load_full();
        let mut next = Live::new();
        for (object, store) in known.stores.iter().filter(|(object, store)| has_its_id(&known.stores, object, store)) {
            let Some((cluster, identity)) = usable(known, object, store) else { continue };
            let id = &store.custom_key_store_id;
            let connection = match present.get(id) {
                Some((namespace, connection))
                    if **namespace == object.0 && connection.generation == store.generation =>
                {
                    connection.update_endpoints(&cluster.endpoints);
                    Arc::clone(connection)
                }
                _ => match self.open(store, cluster, identity) {
                    Some(connection) => connection,
                    None => continue,
                },
            };
            next.insert(Arc::clone(id), (object.0.as_str().into(), connection));
        }
        let gone = present.iter().filter(|(id, (_, old))| next.get(*id).is_none_or(|(_, new)| !Arc::ptr_eq(old, new)));
        let gone: Vec<_> = gone.map(|(id, (_, old))| (id.to_string(), Arc::clone(old))).collect();
        drop(present);
        self.live.store(Arc::new(next));
        if !gone.is_empty() {
            known.stopping.extend(gone);
            self.changed.notify_one();
        }
    }

    fn open(&self, store: &StoreEntry, cluster: &Cluster, identity: &ClusterIdentity) -> Option<Arc<Connection>> {
        let anchor = anchor(store, identity)?;
        let generation = u64::try_from(store.generation).ok()?;
        let (id, endpoints) = (&store.custom_key_store_id, &cluster.endpoints);
        tracing::info!(store = %id, generation, hsms = endpoints.len(), "connecting to a store");
        let pool = || {
            let (identity, anchor) = (Arc::clone(&identity.identity), anchor.clone());
            Pool::new(identity, anchor, id, generation, endpoints.clone(), &self.zone)
        };
        Some(Arc::new(Connection::open(store.generation, &self.runtimes, pool)))
    }

    /// Takes all connections to a cluster out of reach.
    fn drop_cluster(&self, known: &mut Known, cluster_id: &str) {
        let ids = stores_of(known, cluster_id);
        let (gone, kept): (Live, Live) = self
            .live
            .load()
            .iter()
            .map(|(id, live)| (Arc::clone(id), live.clone()))
            .partition(|(id, _)| ids.contains(id));
        self.live.store(Arc::new(kept));
        known.stopping.extend(gone.into_iter().map(|(id, (_, connection))| (id.to_string(), connection)));
    }
}

/// The ids of the stores on a cluster.
fn stores_of(known: &Known, cluster_id: &str) -> HashSet<Arc<str>> {
    let of_cluster = |(object, store): &(&ObjectName, &StoreEntry)| {
        let cluster = known.clusters.get(&(object.0.clone(), store.cluster_name.to_string()));
        cluster.is_some_and(|cluster| cluster.cluster_id == cluster_id)
    };
    known.stores.iter().filter(of_cluster).map(|(_, store)| Arc::clone(&store.custom_key_store_id)).collect()
}

/// Of several stores of one id the oldest has it: a copy is younger than its original, and must not put it out of service before the controllers
/// have refused it. Names decide between stores of one second, the same in every replica.
fn has_its_id(stores: &BTreeMap<ObjectName, StoreEntry>, object: &ObjectName, store: &StoreEntry) -> bool {
    let same = stores.iter().filter(|(_, other)| other.custom_key_store_id == store.custom_key_store_id);
    let owner = same.min_by_key(|(name, other)| (other.creation_date, *name));
    owner.is_none_or(|(name, _)| name == object)
}

/// What a store's connection is made of, if the store is connected and everything is known.
fn usable<'a>(known: &'a Known, object: &ObjectName, store: &StoreEntry) -> Option<(&'a Cluster, &'a ClusterIdentity)> {
    // A generation that was said to have stopped never comes back, whatever an old version of the store says.
    let stopped = known.stopped.get(&*store.custom_key_store_id).is_some_and(|stopped| *stopped >= store.generation);
    if store.state != ConnectionState::Connected || stopped {
        return None;
    }
    let cluster = known.clusters.get(&(object.0.clone(), store.cluster_name.to_string()))?;
    Some((cluster, known.identities.get(&cluster.cluster_id)?))
}

/// The anchor that the store was accepted with; without one, the cluster's (spec 2.6 step 7).
fn anchor(store: &StoreEntry, identity: &ClusterIdentity) -> Option<TrustAnchor> {
    match store.trust_anchor_certificate.as_deref().map(TrustAnchor::parse) {
        None => Some(identity.anchor.clone()),
        Some(Ok(anchor)) => Some(anchor),
        Some(Err(error)) => {
            tracing::error!(%error, store = %store.custom_key_store_id, "a store's trust anchor cannot be used");
            None
        }
    }
}

fn has_ended(state: ConnectionState) -> bool {
    match state {
        ConnectionState::Disconnecting | ConnectionState::Disconnected | ConnectionState::Failed => true,
        ConnectionState::Connecting | ConnectionState::Connected => false,
    }
}

fn raise(stopped: &mut BTreeMap<String, i64>, store_id: &str, generation: i64) {
    let entry = stopped.entry(store_id.to_owned()).or_insert(generation);
    *entry = (*entry).max(generation);
}

#[cfg(test)]
mod tests;
