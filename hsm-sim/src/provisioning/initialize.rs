//! Initialize: installs the signed cluster certificate, once and for ever (spec 1.3 step 5, INV-08).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hsm_protocol::limits::MAX_CERTIFICATE_PEM;
use hsm_protocol::message::{HsmState, InitializeReply, InitializeRequest, UserType};
use hsm_protocol::{ReturnCode, labels};
use rcgen::PublicKeyData;
use zeroize::Zeroizing;

use super::csr::key_pair;
use crate::hsm::Hsm;
use crate::membership::{Cluster, Membership};
use crate::replication::asking;
use crate::seal;
use crate::store::record::RecordKind;
use crate::tls::certificate::{from_pem, parse};
use crate::vault::rows::{ClusterRow, put};
use crate::vault::user::User;
use crate::vault::{Outcome, internal, password, storage_code};

/// First epoch of the pre-crypto officer.
const FIRST_EPOCH: u64 = 1;
const ASK_PEER: Duration = Duration::from_secs(2);

/// Installs certificate and trust anchor and creates the pre-crypto officer `admin`, in one transaction. The same
/// certificate again is success.
///
/// # Errors
/// `WrongState` if this volume or a reachable peer has a cluster, or no CSR was made; `InvalidArgument` if a PEM is
/// malformed or over 5,000 characters, the certificate is not for the CSR's key or not issued by the trust anchor, or
/// the trust anchor is not self-signed.
pub(crate) async fn run(hsm: &Hsm, mut request: InitializeRequest) -> Outcome<InitializeReply> {
    let (certificate, anchor) = certificates(&request)?;
    password::check_new(labels::OFFICER, &request.preco_password)?;
    let _change = hsm.change.lock().await;
    let member = hsm.member();
    if let Some(cluster) = &member.cluster {
        let repeated = member.state != HsmState::Joining && cluster.row().cluster_certificate == certificate;
        return if repeated { Ok(InitializeReply {}) } else { Err(ReturnCode::WrongState) };
    }
    let key = member.pending_key.clone().ok_or(ReturnCode::WrongState)?;
    check_issued(&certificate, &anchor, &key_pair(&key)?.subject_public_key_info())?;
    refuse_if_a_peer_has_a_cluster(hsm, &member).await?;
    let row = ClusterRow {
        cluster_key: key.to_vec(),
        cluster_certificate: certificate,
        trust_anchor: anchor,
        masking_key: seal::random_key().map_err(internal)?.to_vec(),
        state: HsmState::Initialized as i32,
    };
    let officer = first_officer(hsm, Zeroizing::new(std::mem::take(&mut request.preco_password))).await?;
    install(hsm, &member, row, officer).await?;
    tracing::info!("initialized");
    Ok(InitializeReply {})
}

async fn install(hsm: &Hsm, member: &Membership, row: ClusterRow, officer: User) -> Outcome<()> {
    let changes =
        vec![put(RecordKind::Cluster, &[], &row), put(RecordKind::User, officer.name.as_bytes(), &officer.row())];
    let cluster = Cluster::from_row(row, hsm.identity.row()).map_err(|error| {
        tracing::warn!(%error, "certificates refused");
        ReturnCode::InvalidArgument
    })?;
    let next = Membership {
        state: HsmState::Initialized,
        cluster: Some(Arc::new(cluster)),
        pending_key: None,
        ..member.clone()
    };
    hsm.users.start_counter(&officer, 0).await?;
    let stored = hsm.store.commit_at(changes, next.place(hsm.volume_id)).await;
    stored.map_err(|error| storage_code(&error))?;
    hsm.users.publish(officer);
    hsm.membership.store(Arc::new(next));
    Ok(())
}

async fn first_officer(hsm: &Hsm, password: Zeroizing<String>) -> Outcome<User> {
    Ok(User {
        name: labels::OFFICER.to_owned(),
        user_type: UserType::Preco,
        epoch: FIRST_EPOCH,
        verifier: hsm.users.hash(password).await?,
        last_op_id: Vec::new(),
        slot: hsm.users.free_slot(&HashSet::new())?,
    })
}

fn certificates(request: &InitializeRequest) -> Outcome<(Vec<u8>, Vec<u8>)> {
    let read = |pem: &str| -> Outcome<Vec<u8>> {
        if pem.len() > MAX_CERTIFICATE_PEM {
            return Err(ReturnCode::InvalidArgument);
        }
        from_pem(pem.as_bytes()).map(|der| der.to_vec()).map_err(|_| ReturnCode::InvalidArgument)
    };
    Ok((read(&request.signed_certificate_pem)?, read(&request.trust_anchor_pem)?))
}

/// The certificate is for this key and issued directly by the self-signed trust anchor (spec 1.3 step 5).
fn check_issued(certificate: &[u8], anchor: &[u8], spki_der: &[u8]) -> Outcome<()> {
    let read = |der| parse(der).map_err(|_| ReturnCode::InvalidArgument);
    let (certificate, anchor) = (read(certificate)?, read(anchor)?);
    let for_this_key = certificate.public_key().raw == spki_der;
    let names_match = certificate.issuer() == anchor.subject() && anchor.issuer() == anchor.subject();
    let issued = certificate.verify_signature(Some(anchor.public_key())).is_ok();
    let self_signed = anchor.verify_signature(None).is_ok();
    let valid_now = certificate.validity().is_valid() && anchor.validity().is_valid();
    if for_this_key && names_match && issued && self_signed && valid_now {
        Ok(())
    } else {
        Err(ReturnCode::InvalidArgument)
    }
}

/// INV-08: an empty volume beside an initialised peer joins; it is never initialised.
async fn refuse_if_a_peer_has_a_cluster(hsm: &Hsm, member: &Membership) -> Outcome<()> {
    for peer in member.peers() {
        let state = tokio::time::timeout(ASK_PEER, asking::state_of(hsm, &peer)).await;
        if let Ok(Ok(HsmState::Initialized | HsmState::Active | HsmState::Joining)) = state {
            tracing::error!(peer = peer.hsm_id, "refused to initialise: this peer has the cluster already. Join it");
            return Err(ReturnCode::WrongState);
        }
    }
    Ok(())
}
