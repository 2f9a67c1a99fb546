//! Joining under kill -9, and what a blank volume beside its cluster must not do (P7, INV-08).

use crate::harness::Cluster;
use crate::harness::keys::new_key;
use hsm_client::KMS_USER;
use hsm_client::command::KeySearch;
use hsm_initialization::{Step, next_step};
use std::time::Duration;

const KEYS: usize = 40;

/// Killed at any moment of a join, the HSM continues it.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_is_killed_at_any_moment_is_continued() {
    let mut cluster = Cluster::active().await;
    let user = cluster.kmsuser(0).await;
    let fence = cluster.fence(&user).await;
    for _ in 0..KEYS {
        user.generate_key(&new_key(fence)).await.expect("generates");
    }
    // A join takes over what its peer has, so every peer has to have all of it.
    cluster.settled().await;
    cluster.lose_volume(2);
    for moment in [2, 10, 30, 60, 120, 250] {
        until_join(&mut cluster).await;
        let observed = cluster.observe().await;
        let session = cluster.procedure().provisioning(&observed.hsms[2]).await.expect("connects");
        let join = tokio::spawn(async move { session.join().await.map(drop) });
        tokio::time::sleep(Duration::from_millis(moment)).await;
        cluster.restart(2);
        // Whether it was answered before the kill does not matter.
        let _ = join.await.expect("ends");
    }
    cluster.drive().await;
    let joined = cluster.kmsuser(2).await;
    let search = KeySearch { namespace: String::new(), name: String::new(), after: None, limit: 1000 };
    assert_eq!(joined.find_keys(&search).await.expect("finds").keys.len(), KEYS);
    assert_eq!(joined.user_info(KMS_USER).await.expect("reads").expect("exists").epoch, 1);
}

/// Steps until the next one is the join, or nothing is left to do.
async fn until_join(cluster: &mut Cluster) {
    loop {
        let observed = cluster.observe().await;
        match next_step(&observed) {
            Step::Join { .. } | Step::Done => return,
            Step::Wait(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => drop(cluster.step().await),
        }
    }
}

/// INV-08: the HSM itself refuses, even if an operator that lost its records asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_blank_volume_beside_an_initialised_peer_refuses_to_be_initialised() {
    let mut cluster = Cluster::active().await;
    cluster.lose_volume(1);
    until_join(&mut cluster).await;
    let observed = cluster.observe().await;
    let session = cluster.procedure().provisioning(&observed.hsms[1]).await.expect("connects");
    let csr = session.csr().await.expect("an assigned volume makes a request");
    let authority = cluster.customer_authority();
    let certificate = authority.sign_csr(&csr.csr, std::time::SystemTime::now()).expect("signs");
    let refused = session.initialize(&certificate, authority.certificate(), "PrecoPassword1").await;
    assert_eq!(refused, Err(hsm_client::HsmError::Refused(hsm_client::ReturnCode::WrongState)));
    cluster.drive().await;
}
