//! Members that lose everything or miss something are refilled by their peers (INV-03, INV-04, INV-07, P7).

use crate::harness::Cluster;
use crate::harness::keys::{kmsusers, make_everywhere, new_key};
use hsm_initialization::Step;

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_volume_is_refilled_by_its_peers_and_nothing_is_initialised_again() {
    let mut cluster = Cluster::active().await;
    let sessions = kmsusers(&cluster).await;
    let mut keys = Vec::new();
    for _ in 0..20 {
        let key_id = make_everywhere(&cluster, &sessions).await;
        let blob = sessions[0].encrypt(key_id, b"kept", b"").await.expect("encrypts");
        keys.push((key_id, blob));
    }
    drop(sessions);
    // Also the HSM that was initialised first is only a member.
    for index in [0, 2] {
        let before = cluster.endpoint(index).await;
        cluster.lose_volume(index);
        let steps = cluster.drive().await;
        assert!(!steps.iter().any(|step| matches!(step, Step::Initialize { .. })), "{steps:?}");
        let after = cluster.endpoint(index).await;
        assert_ne!(after.hsm_id, before.hsm_id, "a new volume is a new HSM");
        assert_eq!(after.availability_zone, before.availability_zone);
        cluster.settled().await;
        let session = cluster.kmsuser(index).await;
        for (key_id, blob) in &keys {
            let opened = session.decrypt(blob, b"").await.expect("decrypts");
            assert_eq!((opened.key_id, opened.plaintext.as_slice()), (*key_id, b"kept".as_slice()));
        }
    }
}

/// INV-04: a key made while a member was down reaches it without anyone's help.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_down_catches_up_by_itself() {
    let mut cluster = Cluster::active().await;
    cluster.kill(2);
    let sessions = [cluster.kmsuser(0).await, cluster.kmsuser(1).await];
    let key_id = make_everywhere(&cluster, &sessions).await;
    let blob = sessions[0].encrypt(key_id, b"kept", b"").await.expect("encrypts");
    cluster.start(2);
    cluster.settled().await;
    let session = cluster.kmsuser(2).await;
    assert_eq!(session.decrypt(&blob, b"").await.expect("decrypts").plaintext.as_slice(), b"kept");
}

/// INV-63: a lock is not washed off by losing a volume.
#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_takes_over_users_with_their_epochs() {
    let mut cluster = Cluster::active().await;
    cluster.lose_volume(1);
    cluster.drive().await;
    let session = cluster.session(1).await;
    let info = session.user_info(hsm_client::KMS_USER).await.expect("reads").expect("exists");
    assert_eq!(info.epoch, 1);
    let made = new_key(cluster.fence(&session).await);
    let session = cluster.kmsuser(1).await;
    session.generate_key(&made).await.expect("generates");
}
