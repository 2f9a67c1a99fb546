//! The live `kmsuser` sessions of every connected store: the proof behind a stored CONNECTED.
//!
//! Only a login makes one and nothing deserialises into one; after a restart the map is empty and is filled again from the ring without touching
//! the connection state. The key controller creates keys through these sessions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use hsm_client::Session;
use kube::runtime::reflector::ObjectRef;
use operator_api::CustomKeyStore;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// One `kmsuser` session.
#[derive(Clone)]
pub struct LoggedIn {
    /// The session, on which `kmsuser` is logged in.
    pub session: Session,
    /// Public keys of the gateway that were registered through it (D12).
    pub delegates: Vec<[u8; 32]>,
}

struct Connection {
    generation: u64,
    sessions: BTreeMap<String, Kept>,
}

/// A session and the watch over it: the watch holds a clone of the session, which would keep it open, so it goes with the entry.
struct Kept {
    logged_in: LoggedIn,
    _watch: DropGuard,
}

/// The sessions by uid of the store; clones share them.
#[derive(Clone)]
pub struct Connections {
    open: Arc<Mutex<HashMap<String, Connection>>>,
    ended: mpsc::UnboundedSender<ObjectRef<CustomKeyStore>>,
    endings: Arc<Mutex<Option<mpsc::UnboundedReceiver<ObjectRef<CustomKeyStore>>>>>,
}

impl Default for Connections {
    fn default() -> Self {
        let (ended, endings) = mpsc::unbounded_channel();
        Self { open: Arc::default(), ended, endings: Arc::new(Mutex::new(Some(endings))) }
    }
}

impl Connections {
    /// Keeps a session of a store's generation; sessions of other generations are closed. The store is reconciled when the session ends.
    pub fn keep(&self, store: ObjectRef<CustomKeyStore>, uid: &str, generation: u64, logged_in: LoggedIn) {
        let watch = self.watch(store, logged_in.session.clone());
        let hsm_id = logged_in.session.identity().hsm_id.clone();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = open.entry(uid.to_owned()).or_insert(Connection { generation, sessions: BTreeMap::new() });
        if connection.generation != generation {
            *connection = Connection { generation, sessions: BTreeMap::new() };
        }
        connection.sessions.insert(hsm_id, Kept { logged_in, _watch: watch });
    }

    /// The open sessions of a store's generation, by HSM id; those that have ended are forgotten.
    #[must_use]
    pub fn sessions(&self, uid: &str, generation: u64) -> BTreeMap<String, LoggedIn> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = open.get_mut(uid).filter(|connection| connection.generation == generation) else {
            return BTreeMap::new();
        };
        connection.sessions.retain(|_, kept| kept.logged_in.session.is_open());
        connection.sessions.iter().map(|(hsm_id, kept)| (hsm_id.clone(), kept.logged_in.clone())).collect()
    }

    /// Takes all sessions of a store out, of whatever generation.
    pub fn take(&self, uid: &str) -> BTreeMap<String, LoggedIn> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = open.remove(uid).map(|connection| connection.sessions).unwrap_or_default();
        sessions.into_iter().map(|(hsm_id, kept)| (hsm_id, kept.logged_in)).collect()
    }

    /// Has a store looked at: what its HSMs are to admit has changed.
    pub fn attend(&self, store: ObjectRef<CustomKeyStore>) {
        // Nobody listens any more when the process shuts down.
        let _ = self.ended.send(store);
    }

    /// Stores to be looked at because a session has ended, or for [`Self::attend`], from now on. There is one listener: the second call gets `None`.
    pub fn endings(&self) -> Option<mpsc::UnboundedReceiver<ObjectRef<CustomKeyStore>>> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn watch(&self, store: ObjectRef<CustomKeyStore>, session: Session) -> DropGuard {
        let (ended, forgotten) = (self.ended.clone(), CancellationToken::new());
        let guard = forgotten.clone().drop_guard();
        tokio::spawn(async move {
            tokio::select! {
                () = session.closed() => {
                    // Nobody listens any more when the process shuts down.
                    let _ = ended.send(store);
                }
                () = forgotten.cancelled() => {}
            }
        });
        guard
    }
}
