//! Certificates, roles, fences, delegates.

use std::time::{Duration, SystemTime};

use hsm_client::pki::CertificateAuthority;
use hsm_client::{ClientRole, HsmError, KMS_USER, ReturnCode};

use crate::harness::{Cluster, KMS_PASSWORD, change, code, key_of, new_key};

const STORE: &str = "cks-00000000000000001";

/// HSM-11, INV-65.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_of_a_stranger_or_for_another_port_gets_no_session() {
    let cluster = Cluster::active().await;
    let stranger = CertificateAuthority::generate_customer("stranger", SystemTime::now()).unwrap();
    let stranger = CertificateAuthority::load(&stranger.certificate, &stranger.key).unwrap();
    let forged = stranger.issue_client(ClientRole::Controllers, "test", SystemTime::now()).unwrap();
    assert!(cluster.session_as(0, &forged).await.is_err());
    let operator = cluster.operator.issue_client(ClientRole::Controllers, "test", SystemTime::now()).unwrap();
    assert!(cluster.session_as(0, &operator).await.is_err(), "the operator CA is not the customer CA");
    let provisioning = cluster.customer.issue_client(ClientRole::Provisioning, "test", SystemTime::now()).unwrap();
    assert!(cluster.session_as(0, &provisioning).await.is_err(), "provisioning is for port 2224");
    assert!(cluster.session(0, ClientRole::Owner).await.is_ok());
}

/// T-12, INV-01: the session proves one HSM, whatever address it was reached by.
#[tokio::test(flavor = "multi_thread")]
async fn dialling_another_hsm_under_the_same_cluster_certificate_is_noticed() {
    let cluster = Cluster::active().await;
    let mut endpoint = cluster.endpoint(0).await;
    let issued = cluster.client(ClientRole::Controllers);
    let identity = hsm_client::ClientIdentity::from_pem(&issued.certificate, &issued.key).unwrap();
    let anchor = hsm_client::TrustAnchor::parse(cluster.customer.certificate()).unwrap();
    let other = cluster.endpoint(1).await;
    endpoint.address = other.address;
    endpoint.host_certificate_fingerprint = other.host_certificate_fingerprint;
    let session = hsm_client::Session::connect(&endpoint, &identity, &anchor, Duration::from_secs(5)).await;
    assert!(session.is_err());
}

/// D12: a gateway uses keys as a delegate, and only while its generation lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_uses_keys_until_its_generation_is_dropped_and_never_again() {
    let mut cluster = Cluster::active().await;
    let user = cluster.kms_user(0).await;
    user.generate_key(&new_key(1)).await.unwrap();
    let gateway = cluster.client(ClientRole::Gateway);
    user.register_delegates(STORE, 1, &[key_of(&gateway)], 0).await.unwrap();
    let session = cluster.session_as(0, &gateway).await.unwrap();
    assert_eq!(code(session.encrypt(new_key(1).key_id, b"a", b"").await), Some(ReturnCode::NotLoggedIn));
    assert_eq!(code(session.open_delegation(STORE, 2).await), Some(ReturnCode::DelegationNotLive));
    session.open_delegation(STORE, 1).await.unwrap();
    let blob = session.encrypt(new_key(1).key_id, b"a", b"").await.unwrap();
    assert_eq!(&session.decrypt(&blob, b"").await.unwrap().plaintext[..], b"a");
    assert_eq!(code(session.login(KMS_USER, KMS_PASSWORD).await), Some(ReturnCode::RoleDenied));
    assert_eq!(code(session.acquire_fence("gateway").await), Some(ReturnCode::RoleDenied));
    let unregistered = cluster.session(0, ClientRole::Gateway).await.unwrap();
    assert_eq!(code(unregistered.open_delegation(STORE, 1).await), Some(ReturnCode::DelegationNotLive));

    user.drop_generation(STORE, 1, 0).await.unwrap();
    assert!(session.encrypt(new_key(1).key_id, b"a", b"").await.is_err(), "no operation succeeds after the drop");
    cluster.pods[0].kill();
    cluster.pods[0].start();
    let session = cluster.session_as(0, &gateway).await.unwrap();
    assert_eq!(code(session.open_delegation(STORE, 1).await), Some(ReturnCode::DelegationNotLive));
    let user = cluster.kms_user(0).await;
    let again = user.register_delegates(STORE, 1, &[key_of(&gateway)], 0).await;
    assert_eq!(code(again), Some(ReturnCode::DelegationNotLive));
    user.register_delegates(STORE, 2, &[key_of(&gateway)], 0).await.unwrap();
    session.open_delegation(STORE, 2).await.unwrap();
    assert_eq!(&session.decrypt(&blob, b"").await.unwrap().plaintext[..], b"a");
}

/// INV-36: while the generation is dropped under load, nothing succeeds after the drop has returned.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_generation_under_load_lets_no_operation_through_afterwards() {
    let cluster = Cluster::active().await;
    let user = cluster.kms_user(0).await;
    user.generate_key(&new_key(1)).await.unwrap();
    let gateway = cluster.client(ClientRole::Gateway);
    user.register_delegates(STORE, 1, &[key_of(&gateway)], 0).await.unwrap();
    let session = cluster.session_as(0, &gateway).await.unwrap();
    session.open_delegation(STORE, 1).await.unwrap();
    let load: Vec<_> = (0..8)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move {
                let mut last = std::time::Instant::now();
                while session.encrypt(new_key(1).key_id, b"a", b"").await.is_ok() {
                    last = std::time::Instant::now();
                }
                last
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    user.drop_generation(STORE, 1, 0).await.unwrap();
    let dropped = std::time::Instant::now();
    for task in load {
        let last = task.await.unwrap();
        assert!(last <= dropped, "an operation was answered {:?} after the drop", last - dropped);
    }
}

/// P5, INV-70, INV-44.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_deposes_the_old_one_for_good_and_fence_and_claim_survive_a_kill() {
    let mut cluster = Cluster::active().await;
    let client = cluster.client(ClientRole::Controllers);
    let old = cluster.session_as(0, &client).await.unwrap();
    let old_fence = old.acquire_fence("leader-a").await.unwrap();
    old.claim_cluster(STORE, old_fence).await.unwrap();
    let new = cluster.session_as(0, &client).await.unwrap();
    let new_fence = new.acquire_fence("leader-b").await.unwrap();
    assert!(new_fence > old_fence);
    tokio::time::timeout(Duration::from_secs(5), old.closed()).await.expect("the old leader's session is ended");
    cluster.pods[0].kill();
    cluster.pods[0].start();
    let deposed = cluster.session_as(0, &client).await.unwrap();
    deposed.login(KMS_USER, KMS_PASSWORD).await.unwrap();
    let mut key = new_key(1);
    key.fence = old_fence;
    assert_eq!(code(deposed.generate_key(&key).await), Some(ReturnCode::FenceTooLow));
    assert_eq!(code(deposed.drop_generation(STORE, 1, 0).await), Some(ReturnCode::FenceTooLow));
    assert_eq!(code(change(&deposed, KMS_USER, "Newpassword1", 1, 2).await), Some(ReturnCode::FenceTooLow));
    let leader = cluster.session_as(0, &client).await.unwrap();
    assert_eq!(code(leader.claim_cluster("cks-other", new_fence).await), Some(ReturnCode::ClaimHeld));
    leader.claim_cluster(STORE, new_fence).await.unwrap();
    assert_eq!(leader.acquire_fence("leader-b").await.unwrap(), new_fence + 1);
}

/// INV-49, INV-68.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_key_refuses_crypto_and_an_officer_never_uses_one() {
    let cluster = Cluster::active().await;
    let (user, officer) = (cluster.kms_user(0).await, cluster.officer(0).await);
    user.generate_key(&new_key(1)).await.unwrap();
    let blob = user.encrypt(new_key(1).key_id, b"a", b"").await.unwrap();
    assert_eq!(code(officer.decrypt(&blob, b"").await), Some(ReturnCode::RoleDenied));
    assert_eq!(code(officer.generate_key(&new_key(2)).await), Some(ReturnCode::RoleDenied));
    user.set_key_state(new_key(1).key_id, false, 2, 0).await.unwrap();
    assert_eq!(code(user.decrypt(&blob, b"").await), Some(ReturnCode::KeyNotUsable));
    assert_eq!(code(user.set_key_state(new_key(1).key_id, true, 2, 0).await), Some(ReturnCode::WrongState));
    user.set_key_state(new_key(1).key_id, true, 3, 0).await.unwrap();
    assert_eq!(&user.decrypt(&blob, b"").await.unwrap().plaintext[..], b"a");
}

/// The counters that an outside observer compares with the requests it sent.
#[tokio::test(flavor = "multi_thread")]
async fn counters_rise_by_exactly_the_requests_sent() -> Result<(), HsmError> {
    let cluster = Cluster::active().await;
    let user = cluster.kms_user(0).await;
    user.generate_key(&new_key(1)).await?;
    for _ in 0..7 {
        user.encrypt(new_key(1).key_id, b"a", b"").await?;
    }
    assert!(user.encrypt(new_key(2).key_id, b"a", b"").await.is_err());
    let info = user.hsm_info().await?;
    let encrypt = info.commands.iter().find(|count| count.command == 0x0501).expect("counted");
    assert_eq!((encrypt.succeeded, encrypt.refused), (7, 1));
    Ok(())
}
