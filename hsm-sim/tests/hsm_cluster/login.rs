//! Login, failure counting, lockout (spec 1.8, INV-60 … INV-63).

use crate::harness::Cluster;
use hsm_client::command::{PasswordChange, UserInfo};
use hsm_client::{HsmError, KMS_USER, ReturnCode, Session};

const WRONG: &str = "WrongPassword1";

async fn kmsuser(session: &Session) -> UserInfo {
    session.user_info(KMS_USER).await.expect("reads").expect("exists")
}

async fn try_login(session: &Session, password: &str) -> Result<(), HsmError> {
    session.login(KMS_USER, password).await.map(drop)
}

/// HSM-41, HSM-42, HSM-43.
#[tokio::test(flavor = "multi_thread")]
async fn the_fifth_wrong_password_locks_the_user_on_that_hsm_only() {
    let cluster = Cluster::active().await;
    let password = cluster.kmsuser_password();
    let session = cluster.session(0).await;
    for attempt in 1..=5 {
        assert_eq!(try_login(&session, WRONG).await, Err(HsmError::Refused(ReturnCode::LoginFailure)));
        assert_eq!(kmsuser(&session).await.failures, attempt);
    }
    assert!(kmsuser(&session).await.locked);
    assert_eq!(try_login(&session, &password).await, Err(HsmError::Refused(ReturnCode::UserLocked)));
    let other = cluster.session(1).await;
    assert_eq!(kmsuser(&other).await.failures, 0);
    assert_eq!(try_login(&other, &password).await, Ok(()));
}

/// HSM-44.
#[tokio::test(flavor = "multi_thread")]
async fn a_success_before_the_fifth_failure_resets_the_count() {
    let cluster = Cluster::active().await;
    let session = cluster.session(0).await;
    for _ in 0..4 {
        assert!(try_login(&session, WRONG).await.is_err());
    }
    assert_eq!(try_login(&session, &cluster.kmsuser_password()).await, Ok(()));
    assert_eq!(kmsuser(&session).await.failures, 0);
    let other = cluster.session(0).await;
    assert!(try_login(&other, WRONG).await.is_err());
    assert_eq!(kmsuser(&other).await.failures, 1);
}

/// INV-62, INV-63: the failure is on disk before the verdict is sent.
#[tokio::test(flavor = "multi_thread")]
async fn failures_and_the_lock_survive_a_kill_after_every_verdict() {
    let mut cluster = Cluster::active().await;
    for attempt in 1..=5 {
        let session = cluster.session(0).await;
        assert!(try_login(&session, WRONG).await.is_err());
        cluster.restart(0);
        assert_eq!(kmsuser(&cluster.session(0).await).await.failures, attempt);
    }
    let session = cluster.session(0).await;
    let locked = try_login(&session, &cluster.kmsuser_password()).await;
    assert_eq!(locked, Err(HsmError::Refused(ReturnCode::UserLocked)));
}

/// INV-62: the count goes up before the password is looked at, so an attempt that kill -9 cuts off is no free guess, not even the right
/// one. An attempt that was quicker than the kill took the count back, and is made again.
#[tokio::test(flavor = "multi_thread")]
async fn five_right_logins_in_a_row_that_a_kill_cuts_off_lock_the_user() {
    let mut cluster = Cluster::active_as_in_production().await;
    let password = cluster.kmsuser_password();
    let mut counted = 0;
    while counted < 5 {
        let (caller, observer) = (cluster.session(0).await, cluster.session(0).await);
        let attempt = tokio::spawn({
            let password = password.clone();
            async move { try_login(&caller, &password).await }
        });
        while kmsuser(&observer).await.failures == counted && !attempt.is_finished() {}
        cluster.restart(0);
        let passed = attempt.await.expect("ends").is_ok();
        counted = kmsuser(&cluster.session(0).await).await.failures;
        assert!(!passed || counted == 0, "a login that passed takes the count back");
    }
    let session = cluster.session(0).await;
    assert!(kmsuser(&session).await.locked);
    assert_eq!(try_login(&session, &password).await, Err(HsmError::Refused(ReturnCode::UserLocked)));
}

/// INV-60: an unknown user is refused like a wrong password.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_refused_like_a_wrong_password() {
    let cluster = Cluster::active().await;
    let session = cluster.session(0).await;
    let unknown = session.login("nobody", WRONG).await.expect_err("is refused");
    assert_eq!(unknown, HsmError::Refused(ReturnCode::LoginFailure));
    assert_eq!(session.user_info("nobody").await, Ok(None));
}

/// HSM-42, HSM-45: only an officer's password change unlocks.
#[tokio::test(flavor = "multi_thread")]
async fn an_officers_password_change_unlocks_the_user() {
    let cluster = Cluster::active().await;
    let session = cluster.session(0).await;
    for _ in 0..5 {
        assert!(try_login(&session, WRONG).await.is_err());
    }
    let officer = cluster.officer(0).await;
    let change = PasswordChange {
        user: KMS_USER,
        new_password: "NewPassword2",
        expected_epoch: 1,
        new_epoch: 2,
        op_id: [7; 16],
        fence: cluster.fence(&officer).await,
    };
    assert_eq!(officer.change_password(change).await, Ok(2));
    let session = cluster.session(0).await;
    assert!(!kmsuser(&session).await.locked);
    assert_eq!(try_login(&session, "NewPassword2").await, Ok(()));
}
