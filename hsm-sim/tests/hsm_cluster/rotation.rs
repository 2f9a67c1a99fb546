//! Password epochs on the HSM's side (P1): compare-and-set, idempotence, durability, the end of old sessions.

use crate::harness::Cluster;
use crate::harness::cluster::PATIENCE;
use hsm_client::command::PasswordChange;
use hsm_client::{HsmError, KMS_USER, ReturnCode, Session};

const SECOND: &str = "SecondPassword2";

async fn change(session: &Session, fence: u64, epochs: (u64, u64), password: &str, op: u8) -> Result<u64, HsmError> {
    let change = PasswordChange {
        user: KMS_USER,
        new_password: password,
        expected_epoch: epochs.0,
        new_epoch: epochs.1,
        op_id: [op; 16],
        fence,
    };
    session.change_password(change).await
}

/// INV-28: whoever knew the first password loses access on every HSM.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_the_old_password_is_refused_on_every_hsm() {
    let cluster = Cluster::active().await;
    let first = cluster.kmsuser_password();
    for index in 0..3 {
        let session = cluster.kmsuser(index).await;
        let fence = cluster.fence(&session).await;
        assert_eq!(change(&session, fence, (1, 2), SECOND, 1).await, Ok(2));
    }
    for index in 0..3 {
        let session = cluster.session(index).await;
        let old = session.login(KMS_USER, &first).await;
        assert_eq!(old, Err(HsmError::Refused(ReturnCode::LoginFailure)));
        let new = session.login(KMS_USER, SECOND).await.expect("logs in");
        assert_eq!(new.epoch, 2);
    }
}

/// P1 step 4: the same operation twice is success, another one at a past epoch is refused without a failed login.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_a_compare_and_set_and_the_same_operation_twice_is_one() {
    let cluster = Cluster::active().await;
    let session = cluster.kmsuser(0).await;
    let fence = cluster.fence(&session).await;
    assert_eq!(change(&session, fence, (1, 2), SECOND, 1).await, Ok(2));
    assert_eq!(change(&session, fence, (1, 2), SECOND, 1).await, Ok(2));
    let late = change(&session, fence, (1, 2), "AnotherPassword", 2).await;
    assert_eq!(late, Err(HsmError::Refused(ReturnCode::EpochMismatch)));
    let info = session.user_info(KMS_USER).await.expect("reads").expect("exists");
    assert_eq!((info.epoch, info.failures, info.last_op_id), (2, 0, vec![1; 16]));
}

/// Also when the HSM comes back with another cost for passwords to come: this one's hash keeps its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_change_survives_a_kill() {
    let mut cluster = Cluster::active().await;
    let session = cluster.kmsuser(0).await;
    let fence = cluster.fence(&session).await;
    assert_eq!(change(&session, fence, (1, 2), SECOND, 1).await, Ok(2));
    assert!(cluster.pods[0].files.password_iterations.take().is_some());
    cluster.restart(0);
    let session = cluster.session(0).await;
    assert_eq!(session.login(KMS_USER, SECOND).await.expect("logs in").epoch, 2);
}

/// INV-28: sessions opened with the old password are dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_ends_the_users_other_sessions() {
    let cluster = Cluster::active().await;
    let old = cluster.kmsuser(0).await;
    let session = cluster.kmsuser(0).await;
    let fence = cluster.fence(&session).await;
    assert_eq!(change(&session, fence, (1, 2), SECOND, 1).await, Ok(2));
    let extract = old.extract_masked_key(hsm_client::KeyId([9; 16])).await.expect_err("is refused");
    let dead = matches!(extract, HsmError::Disconnected | HsmError::Refused(ReturnCode::NotLoggedIn));
    assert!(dead, "{extract:?}");
}

/// P5, INV-70: a deposed leader's fence is refused, and its session ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_leaders_fence_deposes_the_old_one() {
    let cluster = Cluster::active().await;
    let old = cluster.kmsuser(0).await;
    let old_fence = cluster.fence(&old).await;
    let new = cluster.session(0).await;
    let new_fence = new.acquire_fence("another leader").await.expect("takes it");
    assert!(new_fence > old_fence);
    assert!(change(&old, old_fence, (1, 2), SECOND, 1).await.is_err());
    new.login(KMS_USER, &cluster.kmsuser_password()).await.expect("the password is the old one");
    let refused = change(&new, old_fence, (1, 2), SECOND, 1).await;
    assert_eq!(refused, Err(HsmError::Refused(ReturnCode::FenceTooLow)));
    assert_eq!(change(&new, new_fence, (1, 2), SECOND, 1).await, Ok(2));
}

/// D12: every session that worked under the old fence ends, not only the one that took it; else a leader that hangs would keep `kmsuser`
/// logged in, and an officer could not change its password (HSM-46).
#[tokio::test(flavor = "multi_thread")]
async fn a_new_leaders_fence_ends_every_session_that_worked_under_the_old_one() {
    let cluster = Cluster::active().await;
    let took_it = cluster.session(0).await;
    let fence = took_it.acquire_fence("a leader").await.expect("takes it");
    let logged_in = cluster.kmsuser(0).await;
    logged_in.claim_cluster("cks-one", fence).await.expect("claims");
    let (officer, never_commanded) = (cluster.officer(0).await, cluster.session(0).await);
    let new_fence = officer.acquire_fence("another leader").await.expect("takes it");
    for session in [&took_it, &logged_in] {
        let closed = tokio::time::timeout(PATIENCE, session.closed()).await;
        assert!(closed.is_ok(), "a session of the deposed leader is still open");
    }
    assert!(never_commanded.is_open(), "it has done nothing as anybody's");
    assert_eq!(change(&officer, new_fence, (1, 2), SECOND, 1).await, Ok(2), "nobody is logged in");
}

/// INV-44: one store holds the cluster, and a kill does not make it forget.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_excludes_every_other_store_until_it_is_released() {
    let mut cluster = Cluster::active().await;
    let session = cluster.kmsuser(0).await;
    let fence = cluster.fence(&session).await;
    assert_eq!(session.claim_cluster("cks-one", fence).await, Ok(()));
    cluster.restart(0);
    let session = cluster.kmsuser(0).await;
    assert_eq!(session.claim_cluster("cks-one", fence).await, Ok(()));
    let other = session.claim_cluster("cks-two", fence).await;
    assert_eq!(other, Err(HsmError::Refused(ReturnCode::ClaimHeld)));
    assert_eq!(session.release_claim("cks-one", fence).await, Ok(()));
    assert_eq!(session.claim_cluster("cks-two", fence).await, Ok(()));
}
