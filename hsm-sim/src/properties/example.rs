//! The HSM that the properties are about: one user, one key, one live delegation.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::pbkdf2;
use hsm_protocol::message::{Assignment, DelegateEntry, GenerationEntry, HsmState, MaskedKeyContent, UserType};
use hsm_protocol::{KeyId, labels};
use prost::Message;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::hsm::Hsm;
use crate::identity::Identity;
use crate::store::committer::Change;
use crate::store::record::{Place, RecordKind};
use crate::store::volume::{Volume, VolumeOptions};
use crate::tls::certificate::{self_signed, sha256};
use crate::tls::peer_port::PodCredentials;
use crate::tls::pod_certificate::PodCertificate;
use crate::vault::key::Key;
use crate::vault::password::Verifier;
use crate::vault::rows::{ClusterRow, KeyRow, MembershipRow, put};
use crate::vault::user::User;

/// Password of `kmsuser`.
pub(super) const PASSWORD: &str = "Password123";
/// The store with a delegation, and its live generation; the one before it was dropped.
pub(super) const STORE: &str = "cks-1234567890abcdef0";
pub(super) const LIVE: u64 = 2;
/// Public key (SHA-256) of the client.
pub(super) const CLIENT: [u8; 32] = [3; 32];
/// Material of the key: must never be in an answer.
pub(super) const MATERIAL: [u8; 32] = *b"material-that-never-leaves-here!";
const POD: &str = "cluster-0";

/// The example's key.
pub(super) fn key() -> Key {
    Key::from_content(&content(), 1).expect("well formed")
}

fn content() -> MaskedKeyContent {
    MaskedKeyContent {
        key_id: vec![1; 16],
        backing_key_id: vec![9; 16],
        material: MATERIAL.to_vec(),
        label: "arn:aws:kms:local-1:111122223333:key/x".into(),
        namespace: "team-a".into(),
        name: "quickstart".into(),
        object_uid: "uid".into(),
        op_id: vec![1; 16],
        owner: labels::KMS_USER.into(),
        enabled: true,
        attribute_version: 1,
    }
}

/// Id of the example's key.
pub(super) fn key_id() -> KeyId {
    key().id
}

/// What the example's volume is opened with.
pub(super) fn options(folder: &Path) -> VolumeOptions {
    VolumeOptions {
        data_dir: folder.to_owned(),
        pod_name: POD.into(),
        secret_share: Zeroizing::new(vec![1; 32]),
        on_failure: Arc::new(|why| panic!("the volume failed: {why}")),
    }
}

/// One round of PBKDF2: the properties are not about guessing.
const ROUNDS: std::num::NonZeroU32 = std::num::NonZeroU32::MIN;

fn user() -> User {
    let (salt, mut hash) = ([4; 16], Zeroizing::new(vec![0; 32]));
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ROUNDS, &salt, PASSWORD.as_bytes(), &mut hash);
    User {
        name: labels::KMS_USER.into(),
        user_type: UserType::Cu,
        epoch: 1,
        verifier: Verifier { salt, hash, iterations: ROUNDS.get() },
        last_op_id: Vec::new(),
        slot: 1,
    }
}

/// The rows of an active HSM, and where they belong.
fn rows(volume_id: [u8; 16]) -> (Vec<Change>, Place) {
    let identity = Identity::generate(POD).expect("generates");
    let assignment = Assignment {
        cluster_id: "cluster-a".into(),
        hsm_id: "hsm-a".into(),
        availability_zone: "local-1a".into(),
        pod_name: POD.into(),
        ..Assignment::default()
    };
    let cluster = self_signed("cluster", "cluster").expect("generates");
    let anchor = self_signed("customer CA", "customer").expect("generates");
    let place = Place {
        volume_id,
        member: Some((assignment.cluster_id.clone(), assignment.hsm_id.clone())),
        lineage: Some(sha256(&cluster.certificate)),
    };
    let row = ClusterRow {
        cluster_key: cluster.key.to_vec(),
        cluster_certificate: cluster.certificate,
        trust_anchor: anchor.certificate,
        masking_key: vec![6; 32],
        state: HsmState::Active as i32,
    };
    let delegate =
        DelegateEntry { generation: LIVE, owner: labels::KMS_USER.into(), client_spki_sha256: vec![CLIENT.to_vec()] };
    let generations = GenerationEntry { store_id: STORE.into(), dropped_through: LIVE - 1, delegates: vec![delegate] };
    let key = KeyRow { content: content().encode_to_vec(), handle: 1 };
    let membership = MembershipRow { assignment: assignment.encode_to_vec(), roster: Vec::new() };
    let changes = vec![
        put(RecordKind::Identity, &[], &identity),
        put(RecordKind::Membership, &[], &membership),
        put(RecordKind::Cluster, &[], &row),
        put(RecordKind::User, labels::KMS_USER.as_bytes(), &user().row()),
        put(RecordKind::Key, &key_id().0, &key),
        put(RecordKind::Delegates, STORE.as_bytes(), &generations),
    ];
    (changes, place)
}

/// Opens the volume once whoever had it has let go of it.
pub(super) async fn reopened(folder: &Path) -> Volume {
    loop {
        if let Ok(volume) = Volume::open(&options(folder)) {
            return volume;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// An active HSM on a new volume in `folder`.
pub(super) async fn active(folder: &Path) -> Arc<Hsm> {
    let volume = Volume::open(&options(folder)).expect("opens");
    let (changes, place) = rows(volume.volume_id);
    let (store, lock) = volume.into_store(place).expect("starts");
    store.commit(changes).await.expect("commits");
    drop((store, lock));
    let operator_ca = CertificateDer::from(Vec::new());
    let made = rcgen::generate_simple_self_signed([POD.to_owned()]).expect("generates");
    let (chain, key) = (made.cert.pem(), Zeroizing::new(made.signing_key.serialize_pem()));
    let certificate = PodCertificate::new(chain.as_bytes(), key.as_bytes(), operator_ca.clone()).expect("fits");
    let pod = PodCredentials { certificate: Arc::new(certificate), operator_ca };
    let hsm = Hsm::load(reopened(folder).await, POD.into(), pod, ROUNDS.get()).await.expect("loads");
    hsm.users.start_counter(&user(), 0).await.expect("counts");
    hsm.compared.store(true, Ordering::Release);
    Arc::new(hsm)
}
