//! Anti-entropy: what is missing anywhere is filled from a peer, and absence is never propagated.

use std::time::{Duration, Instant};

use hsm_client::command::{HsmState, KeySearch};
use hsm_client::{KMS_USER, OFFICER};

use crate::harness::{Cluster, KMS_PASSWORD, OFFICER_PASSWORD, new_key};

async fn key_counts(cluster: &Cluster) -> Vec<u64> {
    let mut counts = Vec::new();
    for number in 0..3 {
        counts.push(cluster.kms_user(number).await.hsm_info().await.expect("answers").key_count);
    }
    counts
}

async fn until_every_hsm_has(cluster: &Cluster, keys: u64) {
    let begun = Instant::now();
    while key_counts(cluster).await != [keys; 3] {
        assert!(begun.elapsed() < Duration::from_secs(60), "still {:?}", key_counts(cluster).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// INV-04.
#[tokio::test(flavor = "multi_thread")]
async fn keys_made_on_one_hsm_reach_all_and_a_disabled_state_with_them() {
    let cluster = Cluster::active().await;
    let user = cluster.kms_user(0).await;
    for number in 0..20 {
        user.generate_key(&new_key(number)).await.unwrap();
    }
    user.set_key_state(new_key(3).key_id, false, 2, 0).await.unwrap();
    until_every_hsm_has(&cluster, 20).await;
    for number in 1..3 {
        let other = cluster.kms_user(number).await;
        let begun = Instant::now();
        while other.read_key(new_key(3).key_id).await.unwrap().enabled {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for key in 0..20 {
            let (ours, theirs) = (user.read_key(new_key(key).key_id).await, other.read_key(new_key(key).key_id).await);
            assert_eq!(ours.unwrap().fingerprint, theirs.unwrap().fingerprint);
        }
    }
}

/// INV-07, INV-08, D18: a lost volume is replaced by an empty one with a new HSM id, which only joins.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_volume_is_refilled_by_its_peers_and_takes_nothing_from_them() {
    let mut cluster = Cluster::active().await;
    let user = cluster.kms_user(0).await;
    for number in 0..10 {
        user.generate_key(&new_key(number)).await.unwrap();
    }
    until_every_hsm_has(&cluster, 10).await;
    let before = user.read_key(new_key(5).key_id).await.unwrap().fingerprint;
    cluster.pods[0].kill();
    cluster.pods[0].wipe();
    cluster.pods[0].start();
    assert_eq!(cluster.provisioning(0).await.hello().await.unwrap().state, HsmState::Blank);
    cluster.assign(0, "hsm-zzzzzzzzzzz").await;
    cluster.send_roster().await;
    assert!(cluster.initialize(0).await.is_err(), "a known cluster is never initialised again");
    assert_eq!(cluster.provisioning(0).await.join().await.unwrap(), HsmState::Active);
    let user = cluster.kms_user(0).await;
    assert_eq!(user.read_key(new_key(5).key_id).await.unwrap().fingerprint, before);
    assert_eq!(key_counts(&cluster).await, [10; 3]);
    assert_eq!(user.login(OFFICER, OFFICER_PASSWORD).await.unwrap().epoch, 2);
}

/// P7: killed at any moment of a join, the HSM is either blank enough to join or joined.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_is_killed_is_continued() {
    let mut cluster = Cluster::active().await;
    let user = cluster.kms_user(0).await;
    for number in 0..50 {
        user.generate_key(&new_key(number)).await.unwrap();
    }
    cluster.pods[2].kill();
    cluster.pods[2].wipe();
    cluster.pods[2].start();
    cluster.assign(2, "hsm-yyyyyyyyyyy").await;
    cluster.send_roster().await;
    for moment in [2, 10, 30, 60, 120, 250] {
        let session = cluster.provisioning(2).await;
        let join = tokio::spawn(async move { session.join().await });
        tokio::time::sleep(Duration::from_millis(moment)).await;
        cluster.pods[2].kill();
        let _ = join.await;
        cluster.pods[2].start();
    }
    assert_eq!(cluster.provisioning(2).await.join().await.unwrap(), HsmState::Active);
    let joined = cluster.kms_user(2).await;
    assert_eq!(joined.login(KMS_USER, KMS_PASSWORD).await.unwrap().epoch, 1);
    let search = KeySearch { namespace: String::new(), name: String::new(), after: None, limit: 1000 };
    assert_eq!(joined.find_keys(&search).await.unwrap().keys.len(), 50);
}
