//! HSM to HSM (P7): every two seconds compare with each peer and pull what is missing here. Only ever adds (INV-07).
//!
//! Every HSM pulls for itself, so what a peer lacks is counted here and repaired there.

pub(crate) mod answering;
pub(crate) mod asking;
pub(crate) mod pull;
pub(crate) mod rollback;
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
use rollback::{Marks, RolledBack};

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
    /// How far the volumes were (INV-59).
    pub(crate) marks: Marks,
}

impl Replication {
    /// What the last round found.
    pub(crate) fn found(&self) -> Found {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// Before serving: has any peer seen a later state of this volume? Peers that cannot be asked now are asked in every round.
///
/// # Errors
/// [`RolledBack`]; the process must stop.
pub(crate) async fn compare_at_start(hsm: &Hsm) -> Result<(), RolledBack> {
    hsm.replication.marks.start(hsm.store.sequence());
    if hsm.control.row().went_back {
        return Err(RolledBack::found_earlier());
    }
    let peers = hsm.member().peers();
    let asked = peers.iter().map(|peer| async move {
        let ask = async { compare_marks(hsm, peer, &mut PeerConnection::open(hsm, peer).await?).await };
        tokio::time::timeout(START_LIMIT, ask).await
    });
    for answer in futures::future::join_all(asked).await {
        if let Ok(Err(PeerError::RolledBack(why))) = answer {
            return Err(why);
        }
    }
    hsm.compared.store(true, Ordering::Release);
    Ok(())
}

/// Exchanges marks with a peer: it learns how far this volume is, and says what it had seen of it before.
async fn compare_marks(hsm: &Hsm, peer: &RosterMember, connection: &mut PeerConnection) -> Result<(), PeerError> {
    let identity: [u8; 32] = peer.identity_spki_sha256.as_slice().try_into().map_err(|_| PeerError::Protocol)?;
    let marks = &hsm.replication.marks;
    let answer = connection.call(&WatermarkRequest { own: marks.told(&identity, hsm.store.sequence()) }).await?;
    marks.witness(identity, answer.own);
    marks.judge(&peer.hsm_id, identity, answer.seen, hsm.store.sequence())?;
    Ok(())
}

/// Compares with every peer until `shutdown`; ends the process if one of them has seen a later state of this volume.
pub(crate) async fn run(hsm: Arc<Hsm>, shutdown: CancellationToken) {
    let mut connections: HashMap<String, PeerConnection> = HashMap::new();
    loop {
        if hsm.state() == HsmState::Active
            && let Err(why) = round(&hsm, &mut connections).await
        {
            rollback::stop(&hsm, &why).await;
        }
        hsm.refresh_metrics();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn round(hsm: &Hsm, connections: &mut HashMap<String, PeerConnection>) -> Result<(), RolledBack> {
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
            Ok(Err(PeerError::RolledBack(why))) => return Err(why),
            Ok(Err(error)) => tracing::debug!(peer = peer.hsm_id, %error, "peer not compared"),
            Err(_) => tracing::warn!(peer = peer.hsm_id, "comparison took too long"),
        }
    }
    hsm.replication.set(Found { under_replicated: lacking.len() as u64, peers_reached });
    Ok(())
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
    compare_marks(hsm, peer, &mut connection).await?;
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
