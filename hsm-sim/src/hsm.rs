//! One HSM: everything a command needs, loaded from the volume once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use hsm_protocol::ReturnCode;
use hsm_protocol::message::{GenerationEntry, HsmState};
use prost::Message;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::identity::Identity;
use crate::membership::{Cluster, Membership};
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::replication::Replication;
use crate::sessions::{Session, Sessions};
use crate::store::StoreError;
use crate::store::committer::{Change, Store};
use crate::store::lock::VolumeLock;
use crate::store::record::{Place, RecordKind, RecordName};
use crate::store::volume::Volume;
use crate::tls::TlsError;
use crate::tls::peer_port::PodCredentials;
use crate::vault::Outcome;
use crate::vault::control::Control;
use crate::vault::delegates::Delegates;
use crate::vault::key::Key;
use crate::vault::keys::Keys;
use crate::vault::rows::{ClusterRow, ControlRow, IdentityRow, KeyRow, MembershipRow, UserRow, put};
use crate::vault::user::User;
use crate::vault::users::Users;

/// Why an HSM cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The volume.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A metric.
    #[error("failed to register metrics")]
    Metrics(#[from] prometheus::Error),
    /// A record opens but is not what its kind says.
    #[error("failed to read a {0} record: the volume was written by another version. Start the version that wrote it")]
    Record(&'static str),
}

/// The HSM.
pub(crate) struct Hsm {
    /// Name of the pod.
    pub(crate) pod_name: String,
    /// Credentials of port 2224.
    pub(crate) pod: PodCredentials,
    /// Who it is.
    pub(crate) identity: Identity,
    /// Random id of the volume.
    pub(crate) volume_id: [u8; 16],
    /// Starts on this volume.
    pub(crate) incarnation: u64,
    /// Durable records.
    pub(crate) store: Store,
    /// What it belongs to.
    pub(crate) membership: Arc<ArcSwap<Membership>>,
    /// Users.
    pub(crate) users: Arc<Users>,
    /// Keys.
    pub(crate) keys: Keys,
    /// Delegates.
    pub(crate) delegates: Delegates,
    /// Fence and claim.
    pub(crate) control: Control,
    /// Open client sessions.
    pub(crate) sessions: Sessions,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// Who was turned away.
    pub(crate) refusals: Refusals,
    /// What the last anti-entropy round found.
    pub(crate) replication: Replication,
    /// Set once the start-up comparison with peers is done (INV-59).
    pub(crate) compared: AtomicBool,
    /// One change of users, control or membership at a time.
    pub(crate) change: Mutex<()>,
    _lock: VolumeLock,
}

impl Hsm {
    /// Loads the HSM from its volume; makes its identity if the volume is new. New passwords get `iterations` of PBKDF2.
    ///
    /// # Errors
    /// [`LoadError`]; the volume is then unchanged.
    pub(crate) async fn load(
        volume: Volume,
        pod_name: String,
        pod: PodCredentials,
        iterations: u32,
    ) -> Result<Self, LoadError> {
        let unbound = Place { volume_id: volume.volume_id, ..Place::default() };
        let stored_identity = read::<IdentityRow>(&volume, &unbound, RecordKind::Identity)?;
        let is_new = stored_identity.is_none();
        let identity = match stored_identity {
            Some(row) => row,
            None => Identity::generate(&pod_name)?,
        };
        let identity = Identity::from_row(identity)?;
        let membership = load_membership(&volume, &unbound, identity.row())?;
        let place = membership.place(volume.volume_id);
        let users = rows::<UserRow>(&volume, &place, RecordKind::User)?;
        let users: Option<Vec<User>> = users.iter().map(User::from_row).collect();
        let users = users.ok_or(LoadError::Record("user"))?;
        let keys = load_keys(&volume, &place, RecordKind::Key)?;
        let conflicts = load_keys(&volume, &place, RecordKind::Conflict)?;
        let control = read::<ControlRow>(&volume, &place, RecordKind::Control)?.unwrap_or_default();
        let delegates = rows::<GenerationEntry>(&volume, &place, RecordKind::Delegates)?;
        let (volume_id, incarnation) = (volume.volume_id, volume.incarnation);
        let users = Arc::new(Users::new(users, Arc::clone(&volume.counters), iterations));
        let (store, lock) = volume.into_store(place)?;
        if is_new {
            store.commit(vec![put(RecordKind::Identity, &[], identity.row())]).await?;
        }
        let metrics = Metrics::new()?;
        Ok(Self {
            pod_name,
            pod,
            identity,
            volume_id,
            incarnation,
            store,
            membership: Arc::new(ArcSwap::from_pointee(membership)),
            users,
            keys: Keys::new(keys, &conflicts),
            delegates: Delegates::new(&delegates),
            control: Control::new(control),
            sessions: Sessions::default(),
            refusals: Refusals::new(&metrics.refusals),
            metrics,
            replication: Replication::default(),
            compared: AtomicBool::new(false),
            change: Mutex::new(()),
            _lock: lock,
        })
    }

    /// Present membership.
    pub(crate) fn member(&self) -> Arc<Membership> {
        self.membership.load_full()
    }

    /// Present state.
    pub(crate) fn state(&self) -> HsmState {
        self.membership.load().state
    }

    /// The cluster's secrets.
    ///
    /// # Errors
    /// `NotActive` before there is a cluster.
    pub(crate) fn cluster(&self) -> Outcome<Arc<Cluster>> {
        self.membership.load().cluster.clone().ok_or(ReturnCode::NotActive)
    }

    /// Admits a control command: refuses a deposed leader's, and remembers under whose fence the session works, so that the next leader's
    /// fence ends every session of this one and not only that which took the fence (D12, INV-70).
    ///
    /// # Errors
    /// `FenceTooLow`.
    pub(crate) fn admit(&self, session: &Session, fence: u64) -> Outcome<()> {
        self.control.check_fence(session.client.role, fence)?;
        if fence > 0 {
            session.set_fence_holder(&self.control.row().fence_holder);
        }
        Ok(())
    }

    /// Brings the gauges up to date.
    pub(crate) fn refresh_metrics(&self) {
        let (keys, conflicts) = self.keys.counts();
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.keys.set(count(keys));
        self.metrics.conflicting_keys.set(count(conflicts));
        self.metrics.sessions.set(count(self.sessions.count() as u64));
        self.metrics.active.set(i64::from(self.state() == HsmState::Active));
        let found = self.replication.found();
        self.metrics.under_replicated_keys.set(count(found.under_replicated));
        self.metrics.peers_reached.set(i64::from(found.peers_reached));
    }
}

/// The change that stores the cluster row in a state.
pub(crate) fn cluster_change(row: &ClusterRow, state: HsmState) -> (ClusterRow, Change) {
    let mut row = row.clone();
    row.state = state as i32;
    let change = put(RecordKind::Cluster, &[], &row);
    (row, change)
}

fn load_membership(volume: &Volume, unbound: &Place, identity: &IdentityRow) -> Result<Membership, LoadError> {
    let row = read::<MembershipRow>(volume, unbound, RecordKind::Membership)?.unwrap_or_default();
    let mut membership = Membership::of(row).ok_or(LoadError::Record("membership"))?;
    if let Some(row) = read::<ClusterRow>(volume, unbound, RecordKind::Cluster)? {
        if row.cluster_certificate.is_empty() {
            membership.pending_key = Some(Arc::new(Zeroizing::new(row.cluster_key.clone())));
        } else {
            membership.state = HsmState::try_from(row.state).map_err(|_| LoadError::Record("cluster"))?;
            membership.cluster = Some(Arc::new(Cluster::from_row(row, identity)?));
        }
    }
    Ok(membership)
}

fn load_keys(volume: &Volume, place: &Place, kind: RecordKind) -> Result<Vec<Key>, LoadError> {
    let keys = rows::<KeyRow>(volume, place, kind)?;
    let keys: Option<Vec<Key>> = keys.iter().map(Key::from_row).collect();
    keys.ok_or(LoadError::Record("key"))
}

fn read<M: Message + Default>(volume: &Volume, place: &Place, kind: RecordKind) -> Result<Option<M>, LoadError> {
    let content = volume.read(place, &RecordName::only(kind))?;
    content.map(|content| M::decode(&content[..]).map_err(|_| LoadError::Record("single"))).transpose()
}

fn rows<M: Message + Default>(volume: &Volume, place: &Place, kind: RecordKind) -> Result<Vec<M>, LoadError> {
    let contents = volume.read_kind(place, kind)?;
    contents.iter().map(|content| M::decode(&content[..]).map_err(|_| LoadError::Record("listed"))).collect()
}
