//! HSM to HSM (P7): every two seconds compare with each peer and pull what is missing here. Only ever adds (INV-07).
//!
//! Every HSM pulls for itself, so what a peer lacks is counted here and repaired there.

pub(crate) mod answering;
pub(crate) mod asking;
pub(crate) mod pull;
pub(crate) mod secrets;
pub(crate) mod snapshot;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hsm_protocol::KeyId;
use hsm_protocol::message::{HsmState, RosterMember, WatermarkRequest};
use tokio_util::sync::CancellationToken;

use crate::hsm::Hsm;
use asking::{PeerConnection, PeerError};

const INTERVAL: Duration = Duration::from_secs(2);
/// Longest comparison with one peer at the start; a peer that is down must not keep this HSM from serving.
const START_LIMIT: Duration = Duration::from_secs(3);
const ROUND_LIMIT: Duration = Duration::from_secs(60);

/// What the last round found.
#[derive(Clone, Copy, Default)]
pub(crate) struct Found {
    /// Keys that at least one reached ACTIVE peer lacked.
    pub(crate) under_replicated: u64,
    /// Peers that answered.
    pub(crate) peers_reached: u32,
}

/// State of replication.
#[derive(Default)]
pub(crate) struct Replication {
    found: Mutex<Found>,
    /// Highest store sequence that each identity has ever shown (INV-59). Kept in memory: one peer that has been up
    /// since is enough to notice a volume that went back.
    seen: Mutex<HashMap<[u8; 32], u64>>,
}

impl Replication {
    /// What the last round found.
    pub(crate) fn found(&self) -> Found {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a peer's sequence and returns the highest before.
    pub(crate) fn witness(&self, identity: [u8; 32], sequence: u64) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let highest = seen.entry(identity).or_default();
        std::mem::replace(highest, sequence.max(*highest))
    }

    fn set(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// This volume is older than what a peer has seen of it: a copy was restored (INV-59).
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to start: this volume went back in time (it is at {own}, and {peer} has seen {seen}). Its lockout and \
     password state cannot be trusted. Delete this pod's volume claim: an empty volume is refilled by its peers"
)]
pub(crate) struct RolledBack {
    peer: String,
    own: u64,
    seen: u64,
}

/// Before serving: has any peer seen a later state of this volume?
///
/// # Errors
/// [`RolledBack`]; the process must stop.
pub(crate) async fn compare_at_start(hsm: &Hsm) -> Result<(), RolledBack> {
    let member = hsm.member();
    let own = hsm.store.sequence();
    let peers = member.peers();
    let asked = peers.iter().map(|peer| async move {
        let answer = tokio::time::timeout(START_LIMIT, watermark(hsm, peer)).await;
        (peer, answer.ok().and_then(Result::ok).unwrap_or(0))
    });
    for (peer, seen) in futures::future::join_all(asked).await {
        if seen > own {
            return Err(RolledBack { peer: peer.hsm_id.clone(), own, seen });
        }
    }
    hsm.compared.store(true, Ordering::Release);
    Ok(())
}

async fn watermark(hsm: &Hsm, peer: &RosterMember) -> Result<u64, PeerError> {
    let mut connection = PeerConnection::open(hsm, peer).await?;
    Ok(connection.call(&WatermarkRequest { own: hsm.store.sequence() }).await?.seen)
}

/// Compares with every peer until `shutdown`.
pub(crate) async fn run(hsm: Arc<Hsm>, shutdown: CancellationToken) {
    let mut connections: HashMap<String, PeerConnection> = HashMap::new();
    loop {
        if hsm.state() == HsmState::Active {
            round(&hsm, &mut connections).await;
        }
        hsm.refresh_metrics();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn round(hsm: &Hsm, connections: &mut HashMap<String, PeerConnection>) {
    let mut lacking = BTreeSet::new();
    let mut peers_reached = 0;
    for peer in hsm.member().peers() {
        let open = connections.remove(&peer.hsm_id);
        match tokio::time::timeout(ROUND_LIMIT, compare(hsm, &peer, open)).await {
            Ok(Ok((connection, lacks))) => {
                peers_reached += 1;
                lacking.extend(lacks);
                connections.insert(peer.hsm_id.clone(), connection);
            }
            Ok(Err(error)) => tracing::debug!(peer = peer.hsm_id, %error, "peer not compared"),
            Err(_) => tracing::warn!(peer = peer.hsm_id, "comparison took too long"),
        }
    }
    hsm.replication.set(Found { under_replicated: lacking.len() as u64, peers_reached });
}

/// Compares with one peer, pulls what is missing here, returns what is missing there.
async fn compare(
    hsm: &Hsm,
    peer: &RosterMember,
    open: Option<PeerConnection>,
) -> Result<(PeerConnection, BTreeSet<KeyId>), PeerError> {
    let mut connection = match open {
        Some(connection) => connection,
        None => PeerConnection::open(hsm, peer).await?,
    };
    let marks = connection.call(&WatermarkRequest { own: hsm.store.sequence() }).await?;
    if let Ok(identity) = peer.identity_spki_sha256.as_slice().try_into() {
        hsm.replication.witness(identity, marks.own);
    }
    let hello = connection.hello(hsm).await?;
    if hello.state() != HsmState::Active || hello.key_set_digest == hsm.keys.set_digest() {
        return Ok((connection, BTreeSet::new()));
    }
    let compared = pull::missing_keys(hsm, &mut connection).await?;
    if compared.pulled > 0 {
        tracing::info!(peer = peer.hsm_id, keys = compared.pulled, "pulled keys that were missing here");
    }
    Ok((connection, compared.lacking_there))
}
