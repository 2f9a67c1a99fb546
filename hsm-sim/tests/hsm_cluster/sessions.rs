//! Who is logged in, and what that keeps others from (D12, HSM-46); what is counted.

use crate::harness::Cluster;
use crate::harness::cluster::{DIAL, PATIENCE};
use crate::harness::keys::new_key;
use hsm_client::command::PasswordChange;
use hsm_client::{ClientRole, HsmError, KMS_USER, OFFICER, ReturnCode, Session};
use std::time::{Duration, Instant};

async fn owner(cluster: &Cluster) -> Session {
    let identity = cluster.identity(ClientRole::Owner);
    let endpoint = cluster.endpoint(0).await;
    Session::connect(&endpoint, &identity, &cluster.anchor(), DIAL).await.expect("connects")
}

async fn foreign_sessions(session: &Session) -> u32 {
    session.user_info(KMS_USER).await.expect("reads").expect("exists").foreign_sessions
}

/// D12: sessions of the same client certificate are not foreign, others are; an ended session is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn only_open_sessions_of_other_client_certificates_count_as_foreign() {
    let cluster = Cluster::active().await;
    let watching = cluster.session(0).await;
    let _own = cluster.kmsuser(0).await;
    assert_eq!(foreign_sessions(&watching).await, 0);
    let other = owner(&cluster).await;
    other.login(KMS_USER, &cluster.kmsuser_password()).await.expect("logs in");
    assert_eq!(foreign_sessions(&watching).await, 1);
    drop(other);
    let begun = Instant::now();
    while foreign_sessions(&watching).await != 0 {
        assert!(begun.elapsed() < PATIENCE, "an ended session still counts");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// HSM-33, HSM-45, HSM-46.
#[tokio::test(flavor = "multi_thread")]
async fn an_officer_changes_and_deletes_only_users_who_are_not_logged_in_and_never_itself() {
    let cluster = Cluster::active().await;
    let (officer, user) = (cluster.officer(0).await, cluster.kmsuser(0).await);
    let fence = cluster.fence(&officer).await;
    let change = |op| PasswordChange {
        user: KMS_USER,
        new_password: "NewPassword1",
        expected_epoch: 1,
        new_epoch: 2,
        op_id: [op; 16],
        fence,
    };
    assert_eq!(officer.change_password(change(1)).await, Err(HsmError::Refused(ReturnCode::UserBusy)));
    assert_eq!(officer.delete_user(KMS_USER, fence).await, Err(HsmError::Refused(ReturnCode::UserBusy)));
    assert_eq!(officer.delete_user(OFFICER, fence).await, Err(HsmError::Refused(ReturnCode::UserBusy)));
    let key = new_key(fence);
    user.generate_key(&key).await.expect("generates");
    user.logout().await.expect("logs out");
    assert_eq!(officer.delete_user(KMS_USER, fence).await, Err(HsmError::Refused(ReturnCode::WrongState)));
    assert_eq!(officer.change_password(change(2)).await, Ok(2));
    user.login(KMS_USER, "NewPassword1").await.expect("the new password is in force");
}

/// What an outside observer compares with the requests it sent.
#[tokio::test(flavor = "multi_thread")]
async fn counters_rise_by_exactly_the_requests_sent() {
    const ENCRYPT: u32 = 0x0501;
    let cluster = Cluster::active().await;
    let user = cluster.kmsuser(0).await;
    let key = new_key(cluster.fence(&user).await);
    user.generate_key(&key).await.expect("generates");
    for _ in 0..7 {
        user.encrypt(key.key_id, b"a", b"").await.expect("encrypts");
    }
    assert!(user.encrypt(new_key(0).key_id, b"a", b"").await.is_err());
    let info = user.hsm_info().await.expect("reads");
    let encrypt = info.commands.iter().find(|count| count.command == ENCRYPT).expect("counted");
    assert_eq!((encrypt.succeeded, encrypt.refused), (7, 1));
}

/// D7: a certificate for the provisioning port opens nothing on the client port, whoever issued it.
#[tokio::test(flavor = "multi_thread")]
async fn a_provisioning_certificate_gets_no_session_on_the_client_port() {
    let cluster = Cluster::active().await;
    let identity = cluster.identity(ClientRole::Provisioning);
    let endpoint = cluster.endpoint(0).await;
    let session = Session::connect(&endpoint, &identity, &cluster.anchor(), DIAL).await;
    assert!(session.is_err());
}
