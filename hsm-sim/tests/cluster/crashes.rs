//! kill -9 while keys are made: whatever was acknowledged is there afterwards (INV-01…03, INV-18).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hsm_client::{KeyId, Session};

use crate::harness::{Cluster, new_key};

const ROUNDS: u32 = 8;
const WRITERS: u32 = 8;

/// What the HSM acknowledged: fingerprint, and a ciphertext under the key.
type Acknowledged = Arc<Mutex<BTreeMap<KeyId, ([u8; 32], Vec<u8>)>>>;

async fn write(session: Session, acknowledged: Acknowledged, first: u32) {
    for number in first.. {
        let key = new_key(number);
        let Ok(made) = session.generate_key(&key).await else { return };
        let Ok(blob) = session.encrypt(key.key_id, &number.to_be_bytes(), b"").await else { return };
        acknowledged.lock().expect("not poisoned").insert(key.key_id, (made.fingerprint, blob));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_during_creates_and_encrypts() {
    let mut cluster = Cluster::active().await;
    let acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let session = cluster.kms_user(0).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let first = (round * WRITERS + writer) * 100_000;
                tokio::spawn(write(session.clone(), Arc::clone(&acknowledged), first))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(u64::from(60 + round * 37))).await;
        cluster.pods[0].kill();
        for writer in writers {
            writer.await.unwrap();
        }
        cluster.pods[0].start();
    }
    let session = cluster.kms_user(0).await;
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > 100, "the test must have something to lose: {}", acknowledged.len());
    for (key_id, (fingerprint, blob)) in acknowledged {
        assert_eq!(session.read_key(key_id).await.unwrap().fingerprint, fingerprint);
        assert_eq!(&session.decrypt(&blob, b"").await.unwrap().plaintext[..], &key_id.0[..4]);
    }
}

/// P1 step 4: killed during a password change, the user has the old epoch or the new one, and its password works.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_that_is_killed_is_done_or_not_done_and_the_epoch_says_which() {
    let mut cluster = Cluster::active().await;
    let mut epoch = 1;
    let mut password = crate::harness::KMS_PASSWORD.to_owned();
    for moment in [0, 40, 80, 120, 160, 200, 240, 300] {
        let session = cluster.session(0, hsm_client::ClientRole::Controllers).await.unwrap();
        session.login(hsm_client::KMS_USER, &password).await.unwrap();
        let next = format!("Password{}", epoch + 1);
        let (changing, new_password) = (session.clone(), next.clone());
        let change = tokio::spawn(async move {
            crate::harness::change(&changing, hsm_client::KMS_USER, &new_password, epoch, epoch + 1).await
        });
        tokio::time::sleep(Duration::from_millis(moment)).await;
        cluster.pods[0].kill();
        let acknowledged = change.await.unwrap().is_ok();
        cluster.pods[0].start();
        let session = cluster.session(0, hsm_client::ClientRole::Controllers).await.unwrap();
        let info = session.user_info(hsm_client::KMS_USER).await.unwrap().unwrap();
        assert!(info.epoch == epoch + 1 || (info.epoch == epoch && !acknowledged));
        if info.epoch == epoch + 1 {
            (epoch, password) = (epoch + 1, next);
        }
        assert_eq!(session.login(hsm_client::KMS_USER, &password).await.unwrap().epoch, epoch);
    }
    assert!(epoch > 1, "at least one change must have been done");
}
