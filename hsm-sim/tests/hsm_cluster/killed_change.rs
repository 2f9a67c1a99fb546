//! kill -9 during a password change (P1, step 4).

use crate::harness::Cluster;
use hsm_client::KMS_USER;
use hsm_client::command::PasswordChange;
use std::time::Duration;

/// Done or not done; the epoch says which, the password of that epoch works, and what was acknowledged is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_that_is_killed_is_done_or_not_done_and_the_epoch_says_which() {
    let mut cluster = Cluster::active_as_in_production().await;
    let mut epoch = 1;
    let mut password = cluster.kmsuser_password().to_string();
    // The last one is killed only after it was acknowledged: there is always a change that must have been done.
    for moment in [0, 40, 80, 120, 160, 200, 300].map(Some).into_iter().chain([None]) {
        let session = cluster.session(0).await;
        session.login(KMS_USER, &password).await.expect("logs in");
        let fence = cluster.fence(&session).await;
        let next = format!("Password{}", epoch + 1);
        let (changing, new_password) = (session.clone(), next.clone());
        let change = tokio::spawn(async move {
            let (user, new_password, op_id) =
                (KMS_USER, new_password.as_str(), [u8::try_from(epoch).expect("small"); 16]);
            let (expected_epoch, new_epoch) = (epoch, epoch + 1);
            changing
                .change_password(PasswordChange { user, new_password, expected_epoch, new_epoch, op_id, fence })
                .await
        });
        let acknowledged = if let Some(moment) = moment {
            tokio::time::sleep(Duration::from_millis(moment)).await;
            cluster.restart(0);
            change.await.expect("ends").is_ok()
        } else {
            let acknowledged = change.await.expect("ends").is_ok();
            cluster.restart(0);
            acknowledged
        };
        let session = cluster.session(0).await;
        let found = session.user_info(KMS_USER).await.expect("reads").expect("exists").epoch;
        assert!(found == epoch + 1 || (found == epoch && !acknowledged), "epoch {found} after {epoch}");
        if found == epoch + 1 {
            (epoch, password) = (found, next);
        }
        assert_eq!(session.login(KMS_USER, &password).await.expect("logs in").epoch, epoch);
    }
    assert!(epoch > 1, "at least one change must have been done");
}
