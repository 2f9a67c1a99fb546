//! What a joining HSM takes over besides keys: cluster secrets, users, delegates, claim and fence.

use std::collections::HashSet;
use std::sync::Arc;

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{
    ClusterSecrets, ClusterSecretsRequest, ControlSnapshot, HsmState, SnapshotUsersRequest, UserSnapshot,
};
use hsm_protocol::signing;
use prost::Message;

use super::asking::{PeerConnection, PeerError};
use super::secrets::{Ephemeral, Exchange};
use crate::hsm::Hsm;
use crate::membership::{Cluster, Membership};
use crate::store::record::RecordKind;
use crate::vault::rows::{ClusterRow, ControlRow, put};
use crate::vault::user::User;
use crate::vault::{Outcome, storage_code};

/// Asks a peer for the cluster's secrets.
///
/// # Errors
/// [`PeerError`].
pub(crate) async fn cluster_secrets(hsm: &Hsm, connection: &mut PeerConnection) -> Result<ClusterRow, PeerError> {
    let member = hsm.member();
    let own = Ephemeral::generate()?;
    let exporter = connection.exporter;
    let statement = signing::join_key(&exporter, member.cluster_id(), member.hsm_id(), &own.public);
    let request =
        ClusterSecretsRequest { ephemeral_public_key: own.public.clone(), signature: hsm.identity.sign(&statement)? };
    let reply = connection.call(&request).await?;
    let giver = connection.hsm_id.clone();
    let exchange =
        Exchange { exporter: &exporter, cluster_id: member.cluster_id(), joiner: member.hsm_id(), giver: &giver };
    let content = exchange.unwrap(own, &reply.ephemeral_public_key, &reply.wrapped)?;
    let secrets = ClusterSecrets::decode(&content[..]).map_err(|_| PeerError::Protocol)?;
    Ok(ClusterRow {
        cluster_key: secrets.cluster_key_pkcs8.clone(),
        cluster_certificate: secrets.cluster_certificate_der.clone(),
        trust_anchor: secrets.trust_anchor_der.clone(),
        masking_key: secrets.masking_key.clone(),
        state: HsmState::Joining as i32,
    })
}

/// Stores the cluster's secrets; the HSM is JOINING from here on.
///
/// # Errors
/// `Internal` if they cannot be used, `StorageFull`, `StorageFailed`.
pub(crate) async fn install_cluster(hsm: &Hsm, row: ClusterRow) -> Outcome<()> {
    let change = put(RecordKind::Cluster, &[], &row);
    let cluster = Cluster::from_row(row, hsm.identity.row()).map_err(|_| ReturnCode::Internal)?;
    let next = Membership {
        state: HsmState::Joining,
        cluster: Some(Arc::new(cluster)),
        pending_key: None,
        ..Membership::clone(&hsm.member())
    };
    let stored = hsm.store.commit_at(vec![change], next.place(hsm.volume_id)).await;
    stored.map_err(|error| storage_code(&error))?;
    hsm.membership.store(Arc::new(next));
    Ok(())
}

/// Takes over the peer's users with their failures, and its control records, replacing those of an earlier attempt.
///
/// # Errors
/// [`PeerError`].
pub(crate) async fn pull_users(hsm: &Hsm, connection: &mut PeerConnection) -> Result<(), PeerError> {
    let reply = connection.call(&SnapshotUsersRequest {}).await?;
    let cluster = hsm.cluster()?;
    let users = cluster.masking.open_snapshot(&reply.sealed_users)?;
    let users = UserSnapshot::decode(&users[..]).map_err(|_| PeerError::Protocol)?;
    let control = cluster.masking.open_snapshot(&reply.sealed_control)?;
    let control = ControlSnapshot::decode(&control[..]).map_err(|_| PeerError::Protocol)?;
    for stale in hsm.users.all() {
        if !users.users.iter().any(|entry| entry.user == stale.name) {
            hsm.users.delete(&hsm.store, &stale.name).await?;
        }
    }
    for entry in &users.users {
        let slot = match hsm.users.find(&entry.user) {
            Some(present) => present.slot,
            None => hsm.users.free_slot(&HashSet::new())?,
        };
        let user = User::from_snapshot(entry, slot).ok_or(PeerError::Protocol)?;
        hsm.users.save(&hsm.store, user, entry.failures, Vec::new()).await?;
    }
    install_control(hsm, control).await?;
    Ok(())
}

async fn install_control(hsm: &Hsm, control: ControlSnapshot) -> Outcome<()> {
    let row = ControlRow {
        fence: control.fence,
        fence_holder: control.fence_holder,
        claim_holder: control.claim_holder,
        ..hsm.control.row()
    };
    let mut changes = vec![put(RecordKind::Control, &[], &row)];
    changes.extend(control.stores.iter().map(|entry| put(RecordKind::Delegates, entry.store_id.as_bytes(), entry)));
    hsm.store.commit(changes).await.map_err(|error| storage_code(&error))?;
    hsm.control.publish(row);
    for entry in &control.stores {
        // No session can be open under them: this HSM is not ACTIVE.
        hsm.delegates.publish(entry);
    }
    Ok(())
}
