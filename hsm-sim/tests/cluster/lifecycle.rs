//! From three blank volumes to a cluster that serves.

use hsm_client::command::HsmState;
use hsm_client::{ClientRole, KMS_USER, OFFICER, ReturnCode};

use crate::harness::{Cluster, KMS_PASSWORD, PRECO_PASSWORD, code, new_key};

#[tokio::test(flavor = "multi_thread")]
async fn three_blank_volumes_become_one_cluster_and_each_decrypts_what_another_encrypted() {
    let cluster = Cluster::active().await;
    let first = cluster.kms_user(0).await;
    let made = first.generate_key(&new_key(1)).await.unwrap();
    assert!(made.created);
    let masked = first.extract_masked_key(new_key(1).key_id).await.unwrap();
    let blob = first.encrypt(new_key(1).key_id, b"plaintext", b"context").await.unwrap();
    for number in 1..3 {
        let other = cluster.kms_user(number).await;
        assert_eq!(other.insert_masked_key(&masked, 0).await.unwrap().fingerprint, made.fingerprint);
        assert_eq!(other.read_key(new_key(1).key_id).await.unwrap().fingerprint, made.fingerprint);
        let opened = other.decrypt(&blob, b"context").await.unwrap();
        assert_eq!((&opened.plaintext[..], opened.key_id), (&b"plaintext"[..], new_key(1).key_id));
        assert_eq!(code(other.decrypt(&blob, b"other").await), Some(ReturnCode::CiphertextInvalid));
    }
}

/// HSM-3: the PRECO exists before activation only, and nothing is served before.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_password_change_of_the_preco_activates_and_nothing_is_served_before() {
    let mut cluster = Cluster::blank();
    for number in 0..3 {
        cluster.assign(number, &format!("hsm-aaaaaaaaaaa{}", number + 2)).await;
    }
    cluster.send_roster().await;
    assert!(cluster.session(0, ClientRole::Controllers).await.is_err(), "no customer CA, no client port");
    cluster.initialize(0).await.unwrap();
    let session = cluster.session(0, ClientRole::Controllers).await.unwrap();
    assert_eq!(session.hsm_info().await.unwrap().state, HsmState::Initialized);
    assert_eq!(code(session.generate_random(16).await), Some(ReturnCode::NotActive));
    assert_eq!(code(session.login(OFFICER, "Wrong-password").await), Some(ReturnCode::LoginFailure));
    session.login(OFFICER, PRECO_PASSWORD).await.unwrap();
    cluster.activate(0).await;
    let again = cluster.session(0, ClientRole::Controllers).await.unwrap();
    assert_eq!(again.hsm_info().await.unwrap().state, HsmState::Active);
    assert_eq!(again.generate_random(16).await.unwrap().len(), 16);
    assert_eq!(code(again.login(OFFICER, PRECO_PASSWORD).await), Some(ReturnCode::LoginFailure));
}

/// INV-08.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_initialised_once_and_neither_it_nor_a_blank_volume_beside_it_ever_again() {
    let mut cluster = Cluster::blank();
    for number in 0..3 {
        cluster.assign(number, &format!("hsm-aaaaaaaaaaa{}", number + 2)).await;
    }
    cluster.send_roster().await;
    cluster.initialize(0).await.unwrap();
    assert_eq!(code(cluster.initialize(0).await), Some(ReturnCode::WrongState), "there is no CSR any more");
    assert_eq!(code(cluster.initialize(1).await), Some(ReturnCode::WrongState), "a peer has the cluster");
    assert_eq!(code(cluster.provisioning(1).await.join().await), Some(ReturnCode::NotActive), "nothing to join yet");
    cluster.activate(0).await;
    assert_eq!(cluster.provisioning(1).await.join().await.unwrap(), HsmState::Active);
    assert_eq!(cluster.provisioning(1).await.join().await.unwrap(), HsmState::Active, "joining again is success");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_a_pod_cleanly_and_it_comes_back_with_users_keys_and_a_new_incarnation() {
    let mut cluster = Cluster::active().await;
    let session = cluster.kms_user(0).await;
    let made = session.generate_key(&new_key(1)).await.unwrap();
    let before = session.hsm_info().await.unwrap().incarnation;
    assert!(cluster.pods[0].terminate().success());
    cluster.pods[0].start();
    let session = cluster.kms_user(0).await;
    assert_eq!(session.read_key(new_key(1).key_id).await.unwrap().fingerprint, made.fingerprint);
    assert_eq!(session.hsm_info().await.unwrap().incarnation, before + 1);
    assert_eq!(session.login(KMS_USER, KMS_PASSWORD).await.unwrap().epoch, 1);
}

/// P2, INV-19: one key per key id, whoever asks how often.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_generated_once_per_key_id_and_another_operation_gets_the_record() {
    let cluster = Cluster::active().await;
    let session = cluster.kms_user(0).await;
    let first = session.generate_key(&new_key(1)).await.unwrap();
    let repeated = session.generate_key(&new_key(1)).await.unwrap();
    assert_eq!((repeated.created, repeated.fingerprint, repeated.handle), (false, first.fingerprint, first.handle));
    let mut other = new_key(1);
    other.op_id = [9; 16];
    assert_eq!(code(session.generate_key(&other).await), Some(ReturnCode::KeyExists));
    assert_eq!(session.read_key(other.key_id).await.unwrap().op_id, new_key(1).op_id);
    let at_once =
        futures::future::join_all((0..20).map(|_| async { session.generate_key(&new_key(2)).await.unwrap() }));
    let made = at_once.await;
    assert_eq!(made.iter().filter(|key| key.created).count(), 1);
    assert!(made.iter().all(|key| key.fingerprint == made[0].fingerprint));
}
