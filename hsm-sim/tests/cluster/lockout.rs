//! Logins: five failures, restarts, crowds, unknown names, password changes.

use std::time::{Duration, Instant};

use hsm_client::{ClientRole, HsmError, KMS_USER, OFFICER, ReturnCode, Session};

use crate::harness::{Cluster, KMS_PASSWORD, OFFICER_PASSWORD, change, code};

const WRONG: &str = "Wrongpassword1";

async fn controllers(cluster: &Cluster) -> Session {
    let session = cluster.session(0, ClientRole::Controllers).await.expect("connects");
    session.with_deadline(Duration::from_secs(120))
}

/// INV-61, INV-62, INV-63, HSM-42.
#[tokio::test(flavor = "multi_thread")]
async fn five_failures_lock_through_kill_and_restart_until_an_officer_sets_a_new_password() {
    let mut cluster = Cluster::active().await;
    for failures in 1..=5 {
        let session = controllers(&cluster).await;
        assert_eq!(code(session.login(KMS_USER, WRONG).await), Some(ReturnCode::LoginFailure));
        cluster.pods[0].kill();
        cluster.pods[0].start();
        let info = controllers(&cluster).await.user_info(KMS_USER).await.unwrap().unwrap();
        assert_eq!((info.failures, info.locked), (failures, failures == 5));
    }
    let session = controllers(&cluster).await;
    assert_eq!(code(session.login(KMS_USER, KMS_PASSWORD).await), Some(ReturnCode::UserLocked));
    let officer = cluster.officer(0).await;
    change(&officer, KMS_USER, "Newpassword1", 1, 2).await.unwrap();
    assert_eq!(session.login(KMS_USER, "Newpassword1").await.unwrap().epoch, 2);
    // HSM-43: the other HSMs count for themselves.
    assert!(!cluster.officer(1).await.user_info(KMS_USER).await.unwrap().unwrap().locked);
}

/// INV-63: a hundred at once, in every spelling, get five looks at the password, and then the right one gets none.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_concurrent_wrong_logins_get_at_most_five_verifications() {
    let cluster = Cluster::active().await;
    let session = controllers(&cluster).await;
    let attempts = (0..100).map(|number| {
        let session = session.clone();
        let user = if number % 2 == 0 { "kmsuser" } else { "KmsUser" };
        async move { code(session.login(user, WRONG).await) }
    });
    let codes = futures::future::join_all(attempts).await;
    let verified = codes.iter().filter(|code| **code == Some(ReturnCode::LoginFailure)).count();
    let locked = codes.iter().filter(|code| **code == Some(ReturnCode::UserLocked)).count();
    assert_eq!((verified, locked), (5, 95));
    assert_eq!(code(session.login(KMS_USER, KMS_PASSWORD).await), Some(ReturnCode::UserLocked));
}

/// INV-60, INV-64.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_gets_the_answer_and_costs_the_time_of_a_wrong_password() {
    let cluster = Cluster::active().await;
    let session = controllers(&cluster).await;
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..4 {
        for (kind, user) in [(0, "nobody_here"), (1, OFFICER)] {
            let begun = Instant::now();
            assert_eq!(code(session.login(user, WRONG).await), Some(ReturnCode::LoginFailure));
            fastest[kind] = fastest[kind].min(begun.elapsed());
        }
    }
    let ratio = fastest[0].as_secs_f64() / fastest[1].as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "unknown {:?}, known {:?}", fastest[0], fastest[1]);
    for spelling in ["kmsuser ", " kmsuser", "kmsuser\0", "kmsuſer", ""] {
        assert_eq!(code(session.login(spelling, KMS_PASSWORD).await), Some(ReturnCode::LoginFailure), "{spelling:?}");
    }
    assert_eq!(session.user_info(KMS_USER).await.unwrap().unwrap().failures, 0);
    assert_eq!(session.list_users().await.unwrap().len(), 2, "no state for unknown names");
}

/// P1 step 4, INV-28.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_is_a_compare_and_set_and_ends_every_other_session_of_the_user() {
    let cluster = Cluster::active().await;
    let (first, second) = (cluster.kms_user(0).await, cluster.kms_user(0).await);
    assert_eq!(code(change(&first, KMS_USER, "Newpassword1", 7, 8).await), Some(ReturnCode::EpochMismatch));
    assert_eq!(change(&first, KMS_USER, "Newpassword1", 1, 2).await.unwrap(), 2);
    assert_eq!(change(&first, KMS_USER, "Newpassword1", 1, 2).await.unwrap(), 2, "the same operation again");
    assert_eq!(code(change(&first, KMS_USER, "Otherpass1", 1, 3).await), Some(ReturnCode::EpochMismatch));
    tokio::time::timeout(Duration::from_secs(5), second.closed()).await.expect("the other session is ended");
    assert!(first.is_open());
    let session = controllers(&cluster).await;
    assert_eq!(code(session.login(KMS_USER, KMS_PASSWORD).await), Some(ReturnCode::LoginFailure));
    assert_eq!(session.login(KMS_USER, "Newpassword1").await.unwrap().epoch, 2);
}

/// HSM-45, HSM-46, INV-68.
#[tokio::test(flavor = "multi_thread")]
async fn an_officer_changes_passwords_of_users_who_are_not_logged_in_and_a_crypto_user_only_its_own() {
    let cluster = Cluster::active().await;
    let user = cluster.kms_user(0).await;
    let officer = cluster.officer(0).await;
    assert_eq!(code(change(&officer, KMS_USER, "Newpassword1", 1, 2).await), Some(ReturnCode::UserBusy));
    assert_eq!(code(change(&user, OFFICER, "Newpassword1", 2, 3).await), Some(ReturnCode::RoleDenied));
    user.logout().await.unwrap();
    change(&officer, KMS_USER, "Newpassword1", 1, 2).await.unwrap();
    assert_eq!(code(officer.delete_user(OFFICER, 0).await), Some(ReturnCode::UserBusy));
    assert_eq!(officer.login(OFFICER, OFFICER_PASSWORD).await.unwrap().epoch, 2);
}

/// D12: sessions of the same client certificate are not foreign, others are; an ended session is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn only_sessions_of_other_client_certificates_count_as_foreign() {
    let cluster = Cluster::active().await;
    let (ours, theirs) = (cluster.client(ClientRole::Controllers), cluster.client(ClientRole::Owner));
    let watching = cluster.session_as(0, &ours).await.unwrap();
    let foreign = |session: Session| async move {
        Ok::<_, HsmError>(session.user_info(KMS_USER).await?.expect("exists").foreign_sessions)
    };
    let own = cluster.session_as(0, &ours).await.unwrap();
    own.login(KMS_USER, KMS_PASSWORD).await.unwrap();
    assert_eq!(foreign(watching.clone()).await.unwrap(), 0);
    let other = cluster.session_as(0, &theirs).await.unwrap();
    other.login(KMS_USER, KMS_PASSWORD).await.unwrap();
    assert_eq!(foreign(watching.clone()).await.unwrap(), 1);
    drop(other);
    let begun = Instant::now();
    while foreign(watching.clone()).await.unwrap() != 0 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
