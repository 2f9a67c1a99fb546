//! Use-only delegates (D12): gateway certificates that may use a user's keys while a connection generation lives.
//!
//! Invariant: after [`Generation::end`] has returned, no operation of that generation runs or will start.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{DelegateEntry, GenerationEntry};

use super::Outcome;

/// One generation of one store's connection.
pub(crate) struct Generation {
    /// The custom key store.
    pub(crate) store_id: String,
    /// Number within the store.
    pub(crate) number: u64,
    /// User whose keys may be used.
    pub(crate) owner: String,
    clients: RwLock<Vec<[u8; 32]>>,
    ended: AtomicBool,
    running: AtomicU64,
}

/// One operation under a generation.
pub(crate) struct Running(Arc<Generation>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Generation {
    /// Whether this client may use it.
    pub(crate) fn admits(&self, client: &[u8; 32]) -> bool {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).contains(client)
    }

    fn client_list(&self) -> Vec<[u8; 32]> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins an operation.
    ///
    /// # Errors
    /// `DelegationNotLive` if the generation has ended.
    pub(crate) fn begin(self: &Arc<Self>) -> Outcome<Running> {
        // Counted before the flag is read: `end` sets the flag before it reads the count, so one of both sees the other.
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(self));
        if self.ended.load(Ordering::SeqCst) { Err(ReturnCode::DelegationNotLive) } else { Ok(running) }
    }

    /// Refuses operations from now on and waits for those that run. Returns how many there were.
    pub(crate) async fn end(&self) -> u64 {
        self.ended.store(true, Ordering::SeqCst);
        let open = self.running.load(Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        open
    }
}

#[derive(Default)]
struct Delegations {
    dropped_through: u64,
    live: BTreeMap<u64, Arc<Generation>>,
}

/// The delegates of every store.
#[derive(Default)]
pub(crate) struct Delegates {
    stores: RwLock<HashMap<String, Delegations>>,
}

impl Delegates {
    /// The delegates read from the volume.
    pub(crate) fn new(entries: &[GenerationEntry]) -> Self {
        let delegates = Self::default();
        for entry in entries {
            delegates.publish(entry);
        }
        delegates
    }

    /// The generation that this client may use.
    ///
    /// # Errors
    /// `DelegationNotLive`, the same for every reason.
    pub(crate) fn open(&self, store_id: &str, generation: u64, client: &[u8; 32]) -> Outcome<Arc<Generation>> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        let live = stores.get(store_id).and_then(|delegations| delegations.live.get(&generation));
        let allowed = live.filter(|generation| generation.admits(client));
        allowed.cloned().ok_or(ReturnCode::DelegationNotLive)
    }

    /// Why [`Self::open`] refuses, for the log only: a client gets the same answer for every reason.
    pub(crate) fn why_not(&self, store_id: &str, generation: u64) -> &'static str {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        match stores.get(store_id) {
            None => "the store has never been connected here",
            Some(delegations) if generation <= delegations.dropped_through => "it has ended",
            Some(delegations) if delegations.live.contains_key(&generation) => "this client is not registered for it",
            Some(_) => "it was not registered here",
        }
    }

    /// A store's entry with one generation registered (or its clients replaced), to be stored.
    ///
    /// # Errors
    /// `DelegationNotLive` if the generation was dropped before.
    pub(crate) fn registered(
        &self,
        store_id: &str,
        generation: u64,
        owner: &str,
        clients: &[[u8; 32]],
    ) -> Outcome<GenerationEntry> {
        let mut entry = self.present(store_id);
        if generation <= entry.dropped_through {
            return Err(ReturnCode::DelegationNotLive);
        }
        entry.delegates.retain(|delegate| delegate.generation != generation);
        let client_spki_sha256 = clients.iter().map(|client| client.to_vec()).collect();
        entry.delegates.push(DelegateEntry { generation, owner: owner.to_owned(), client_spki_sha256 });
        Ok(entry)
    }

    /// A store's entry without this generation and those below, to be stored.
    pub(crate) fn dropped(&self, store_id: &str, generation: u64) -> GenerationEntry {
        let mut entry = self.present(store_id);
        entry.dropped_through = entry.dropped_through.max(generation);
        entry.delegates.retain(|delegate| delegate.generation > generation);
        entry
    }

    /// Takes over a stored entry. Returns the generations that are gone and have to be ended by the caller.
    pub(crate) fn publish(&self, entry: &GenerationEntry) -> Vec<Arc<Generation>> {
        let live = entry.delegates.iter().map(|delegate| (delegate.generation, generation_of(entry, delegate)));
        let mut live: BTreeMap<u64, Arc<Generation>> = live.collect();
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        let delegations = stores.entry(entry.store_id.clone()).or_default();
        let mut gone = Vec::new();
        for (number, old) in std::mem::take(&mut delegations.live) {
            match live.get_mut(&number) {
                // The same generation with other clients goes on for those that stay.
                Some(new) if new.owner == old.owner => {
                    *old.clients.write().unwrap_or_else(PoisonError::into_inner) = new.client_list();
                    *new = old;
                }
                Some(_) | None => gone.push(old),
            }
        }
        *delegations = Delegations { dropped_through: entry.dropped_through, live };
        gone
    }

    /// Every store's entry.
    pub(crate) fn entries(&self) -> Vec<GenerationEntry> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        let ids: Vec<String> = stores.keys().cloned().collect();
        drop(stores);
        ids.iter().map(|id| self.present(id)).collect()
    }

    /// A store's entry as it is.
    pub(crate) fn present(&self, store_id: &str) -> GenerationEntry {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        let delegations = stores.get(store_id);
        let delegates = delegations.into_iter().flat_map(|delegations| delegations.live.values());
        GenerationEntry {
            store_id: store_id.to_owned(),
            dropped_through: delegations.map_or(0, |delegations| delegations.dropped_through),
            delegates: delegates
                .map(|generation| DelegateEntry {
                    generation: generation.number,
                    owner: generation.owner.clone(),
                    client_spki_sha256: generation.client_list().iter().map(|client| client.to_vec()).collect(),
                })
                .collect(),
        }
    }
}

fn generation_of(entry: &GenerationEntry, delegate: &DelegateEntry) -> Arc<Generation> {
    let clients = delegate.client_spki_sha256.iter();
    Arc::new(Generation {
        store_id: entry.store_id.clone(),
        number: delegate.generation,
        owner: delegate.owner.clone(),
        clients: RwLock::new(clients.filter_map(|client| client.as_slice().try_into().ok()).collect()),
        ended: AtomicBool::new(false),
        running: AtomicU64::new(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(delegates: &Delegates, generation: u64) {
        let entry = delegates.registered("cks-1", generation, "kmsuser", &[[1; 32]]).expect("not dropped");
        delegates.publish(&entry);
    }

    #[test]
    fn only_a_registered_client_opens_a_live_generation() {
        let delegates = Delegates::default();
        registered(&delegates, 3);
        assert!(delegates.open("cks-1", 3, &[1; 32]).is_ok());
        for (store, generation, client) in [("cks-1", 3, 2), ("cks-1", 2, 1), ("cks-1", 4, 1), ("cks-2", 3, 1)] {
            assert_eq!(delegates.open(store, generation, &[client; 32]).err(), Some(ReturnCode::DelegationNotLive));
        }
        delegates.publish(&delegates.dropped("cks-1", 2));
        let why = [("cks-2", 3), ("cks-1", 2), ("cks-1", 3), ("cks-1", 4)]
            .map(|(store, generation)| delegates.why_not(store, generation));
        let distinct: std::collections::BTreeSet<_> = why.into_iter().collect();
        assert_eq!(distinct.len(), 4, "{why:?}");
    }

    /// D12: a dropped generation never comes back, not even by registering it again or after a restart.
    #[tokio::test]
    async fn a_dropped_generation_is_dead_for_ever_and_a_higher_one_is_not() {
        let delegates = Delegates::default();
        registered(&delegates, 3);
        registered(&delegates, 4);
        let open = delegates.open("cks-1", 3, &[1; 32]).unwrap();
        let gone = delegates.publish(&delegates.dropped("cks-1", 3));
        assert_eq!(gone.len(), 1);
        gone[0].end().await;
        assert_eq!(open.begin().err(), Some(ReturnCode::DelegationNotLive));
        let restarted = Delegates::new(&delegates.entries());
        for delegates in [delegates, restarted] {
            assert!(delegates.open("cks-1", 3, &[1; 32]).is_err());
            assert!(delegates.registered("cks-1", 3, "kmsuser", &[[1; 32]]).is_err());
            assert!(delegates.open("cks-1", 4, &[1; 32]).is_ok());
        }
    }

    /// A gateway replica that is added must not interrupt the others; one that is taken off is out.
    #[test]
    fn registering_a_generation_again_keeps_it_alive_for_the_clients_that_stay() {
        let delegates = Delegates::default();
        registered(&delegates, 1);
        let open = delegates.open("cks-1", 1, &[1; 32]).unwrap();
        let more = delegates.registered("cks-1", 1, "kmsuser", &[[1; 32], [2; 32]]).unwrap();
        assert!(delegates.publish(&more).is_empty());
        assert!(open.begin().is_ok());
        assert!(delegates.open("cks-1", 1, &[2; 32]).is_ok());
        let fewer = delegates.registered("cks-1", 1, "kmsuser", &[[2; 32]]).unwrap();
        assert!(delegates.publish(&fewer).is_empty());
        assert!(!open.admits(&[1; 32]));
        assert!(delegates.open("cks-1", 1, &[1; 32]).is_err());
    }

    #[tokio::test]
    async fn ending_waits_for_the_operations_that_run() {
        let delegates = Delegates::default();
        registered(&delegates, 1);
        let generation = delegates.open("cks-1", 1, &[1; 32]).unwrap();
        let running = generation.begin().unwrap();
        let ending = tokio::spawn({
            let generation = Arc::clone(&generation);
            async move { generation.end().await }
        });
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(!ending.is_finished());
        drop(running);
        assert_eq!(ending.await.unwrap(), 1);
    }
}
