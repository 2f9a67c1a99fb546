//! Join: an assigned volume becomes a member by pulling everything from a peer (P7, D18).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{HsmState, JoinReply, RosterMember};

use crate::hsm::{Hsm, cluster_change};
use crate::membership::Membership;
use crate::replication::asking::{PeerConnection, PeerError};
use crate::replication::{pull, snapshot};
use crate::vault::{Outcome, storage_code};

/// Rounds of pulling until the digests are equal: keys may be made while this HSM joins.
const ROUNDS: usize = 10;

/// Pulls cluster secrets, users, control records and keys from the first peer that can give them, and goes ACTIVE once
/// the key digests are equal. Joining again is success; after a crash it continues.
///
/// # Errors
/// `WrongState` before an assignment and a roster, or on the initialised HSM; `NotActive` if no peer could be reached
/// or none is ACTIVE; `StorageFull`.
pub(crate) async fn run(hsm: &Hsm) -> Outcome<JoinReply> {
    let _change = hsm.change.lock().await;
    let member = hsm.member();
    match member.state {
        HsmState::Active => return Ok(reply(HsmState::Active, 0)),
        HsmState::Assigned | HsmState::Joining => {}
        HsmState::Initialized | HsmState::Blank | HsmState::Unspecified => return Err(ReturnCode::WrongState),
    }
    if member.peers().is_empty() {
        return Err(ReturnCode::WrongState);
    }
    for peer in member.peers() {
        match join(hsm, &peer).await {
            Ok(keys_pulled) => {
                tracing::info!(peer = peer.hsm_id, keys_pulled, "joined");
                return Ok(reply(HsmState::Active, keys_pulled));
            }
            Err(error) => tracing::warn!(peer = peer.hsm_id, error = %chain(&error), "failed to join from this peer"),
        }
    }
    Err(ReturnCode::NotActive)
}

async fn join(hsm: &Hsm, peer: &RosterMember) -> Result<u64, PeerError> {
    let mut connection = PeerConnection::open(hsm, peer).await?;
    let hello = connection.hello(hsm).await?;
    if hello.state() != HsmState::Active {
        return Err(PeerError::Refused(ReturnCode::NotActive));
    }
    if hsm.member().cluster.is_none() {
        let row = snapshot::cluster_secrets(hsm, &mut connection).await?;
        snapshot::install_cluster(hsm, row).await?;
    }
    snapshot::pull_users(hsm, &mut connection).await?;
    let mut pulled = 0;
    for _ in 0..ROUNDS {
        pulled += pull::missing_keys(hsm, &mut connection).await?.pulled;
        if connection.hello(hsm).await?.key_set_digest == hsm.keys.set_digest() {
            activate(hsm).await?;
            return Ok(pulled);
        }
    }
    Err(PeerError::Diverged)
}

async fn activate(hsm: &Hsm) -> Outcome<()> {
    let (_, change) = cluster_change(hsm.cluster()?.row(), HsmState::Active);
    hsm.store.commit(vec![change]).await.map_err(|error| storage_code(&error))?;
    let member = Membership { state: HsmState::Active, ..Membership::clone(&hsm.member()) };
    hsm.membership.store(Arc::new(member));
    hsm.compared.store(true, Ordering::Release);
    Ok(())
}

fn reply(state: HsmState, keys_pulled: u64) -> JoinReply {
    JoinReply { state: state as i32, keys_pulled }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
