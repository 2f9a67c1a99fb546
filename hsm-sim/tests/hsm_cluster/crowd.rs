//! Many requests at once: wrong logins against one counter, delegated operations against a disconnect.

use crate::harness::Cluster;
use crate::harness::cluster::{DIAL, PATIENCE};
use crate::harness::keys::new_key;
use futures::future::join_all;
use hsm_client::{ClientRole, HsmError, KMS_USER, ReturnCode, Session};
use std::time::{Duration, Instant};

const STORE: &str = "cks-00000000000000001";
const WRONG: &str = "WrongPassword1";

/// INV-63: a hundred at once, in two spellings, get five looks at the password, and then the right one gets none.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_concurrent_wrong_logins_get_at_most_five_verifications() {
    let cluster = Cluster::active_as_in_production().await;
    let session = cluster.session(0).await.with_deadline(Duration::from_secs(120));
    let attempts = (0..100).map(|number| {
        let session = session.clone();
        let user = if number % 2 == 0 { "kmsuser" } else { "KmsUser" };
        async move { session.login(user, WRONG).await.map(drop) }
    });
    let outcomes = join_all(attempts).await;
    let count = |code| outcomes.iter().filter(|outcome| **outcome == Err(HsmError::Refused(code))).count();
    assert_eq!((count(ReturnCode::LoginFailure), count(ReturnCode::UserLocked)), (5, 95));
    let right = session.login(KMS_USER, &cluster.kmsuser_password()).await.map(drop);
    assert_eq!(right, Err(HsmError::Refused(ReturnCode::UserLocked)));
}

/// INV-60, INV-63, INV-64: so are spellings that are no name. (That it costs the same is shown where the work is done.)
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_answered_like_a_wrong_password_and_leaves_no_state() {
    let cluster = Cluster::active().await;
    let session = cluster.session(0).await.with_deadline(Duration::from_secs(60));
    for user in ["nobody_here", KMS_USER] {
        assert_eq!(refused(&session, user, WRONG).await, ReturnCode::LoginFailure);
    }
    for spelling in ["kmsuser ", " kmsuser", "kmsuser\0", "kmsuſer", ""] {
        let code = refused(&session, spelling, &cluster.kmsuser_password()).await;
        assert_eq!(code, ReturnCode::LoginFailure, "{spelling:?}");
    }
    assert_eq!(session.user_info(KMS_USER).await.expect("reads").expect("exists").failures, 1);
    assert_eq!(session.list_users().await.expect("lists").len(), 2);
}

async fn refused(session: &Session, user: &str, password: &str) -> ReturnCode {
    match session.login(user, password).await {
        Err(HsmError::Refused(code)) => code,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{user:?} was let in"),
    }
}

/// How many Encrypts an HSM has done, by its own account.
async fn encrypted(session: &Session) -> u64 {
    let commands = session.hsm_info().await.expect("reads").commands;
    let encrypts = commands.iter().filter(|count| count.command == hsm_protocol::Command::Encrypt as u32);
    encrypts.map(|count| count.succeeded).sum()
}

/// INV-36: while the generation is dropped under load, nothing is done after the drop has returned. The HSM says so: when the client
/// notices an answer depends on how busy the machine is, but the HSM counts what it does before it ends the session, and the drop waits
/// for that.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_generation_under_load_lets_no_operation_through_afterwards() {
    let cluster = Cluster::active().await;
    let user = cluster.kmsuser(0).await;
    let fence = cluster.fence(&user).await;
    let key = new_key(fence);
    user.generate_key(&key).await.expect("generates");
    let gateway = cluster.identity(ClientRole::Gateway);
    user.register_delegates(STORE, 1, &[gateway.public_key_fingerprint()], fence).await.expect("registers");
    let endpoint = cluster.endpoint(0).await;
    let session = Session::connect(&endpoint, &gateway, &cluster.anchor(), DIAL).await;
    let session = session.expect("connects");
    session.open_delegation(STORE, 1).await.expect("opens");
    let key_id = key.key_id;
    let load: Vec<_> = (0..8)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move {
                let (mut begun, mut last) = (Instant::now(), None);
                while session.encrypt(key_id, b"a", b"").await.is_ok() {
                    last = Some(begun);
                    begun = Instant::now();
                }
                last
            })
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while encrypted(&user).await < 100 {
        assert!(Instant::now() < deadline, "there is no load");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    user.drop_generation(STORE, 1, fence).await.expect("drops");
    let dropped = Instant::now();
    let done = encrypted(&user).await;
    for task in load {
        let last = task.await.expect("ends");
        assert!(last.is_none_or(|begun| begun <= dropped), "an operation that began after the drop was answered");
    }
    assert_eq!(encrypted(&user).await, done, "operations were done after the drop");
}
