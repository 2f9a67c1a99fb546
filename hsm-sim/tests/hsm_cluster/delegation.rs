//! Use-only delegates (D12) and the pool that gateways use them through.

use crate::harness::Cluster;
use crate::harness::cluster::{DIAL, PATIENCE};
use crate::harness::keys::{STORE, connected};
use hsm_client::pki::ClientRole;
use hsm_client::{ClientIdentity, HsmError, Pool, PoolError, ReturnCode, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often requests are counted before the machine is called too busy for it.
const MOST_PASSES: u32 = 5;

async fn pool(cluster: &Cluster, gateway: Arc<ClientIdentity>) -> Pool {
    let pool = Pool::new(gateway, cluster.anchor(), STORE, 1, cluster.endpoints().await, "local-1b");
    all_connect(&pool).await;
    pool
}

async fn all_connect(pool: &Pool) {
    let deadline = Instant::now() + PATIENCE;
    while pool.available() < 3 {
        assert!(Instant::now() < deadline, "{:?}", pool.members());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_uses_keys_until_its_generation_is_dropped_for_ever() {
    let mut cluster = Cluster::active().await;
    let gateway = cluster.identity(ClientRole::Gateway);
    let key_id = connected(&cluster, &gateway).await;
    let endpoint = cluster.endpoint(0).await;
    let anchor = cluster.anchor();
    let session = Session::connect(&endpoint, &gateway, &anchor, DIAL).await.expect("connects");
    assert!(session.encrypt(key_id, b"x", b"").await.is_err(), "not before the delegation is opened");
    session.open_delegation(STORE, 1).await.expect("opens");
    let blob = session.encrypt(key_id, b"x", b"").await.expect("encrypts");

    let controllers = cluster.kmsuser(0).await;
    let fence = cluster.fence(&controllers).await;
    controllers.drop_generation(STORE, 1, fence).await.expect("drops");
    let refused = session.decrypt(&blob, b"").await.map(drop).expect_err("is refused");
    let ended = matches!(refused, HsmError::Refused(ReturnCode::DelegationNotLive) | HsmError::Disconnected);
    assert!(ended, "{refused:?}");
    cluster.restart(0);
    let session = Session::connect(&endpoint, &gateway, &anchor, DIAL).await.expect("connects");
    let reopened = session.open_delegation(STORE, 1).await;
    assert_eq!(reopened, Err(HsmError::Refused(ReturnCode::DelegationNotLive)));
    let controllers = cluster.kmsuser(0).await;
    let again = controllers.register_delegates(STORE, 1, &[gateway.public_key_fingerprint()], fence).await;
    assert!(again.is_err(), "a dropped generation never lives again");
}

/// The delegation names public keys: another gateway certificate of the same CA is not enough.
#[tokio::test(flavor = "multi_thread")]
async fn another_gateways_certificate_cannot_open_the_delegation() {
    let cluster = Cluster::active().await;
    connected(&cluster, &cluster.identity(ClientRole::Gateway)).await;
    let stranger = cluster.identity(ClientRole::Gateway);
    let session = Session::connect(&cluster.endpoint(0).await, &stranger, &cluster.anchor(), DIAL).await;
    let opened = session.expect("connects").open_delegation(STORE, 1).await;
    assert_eq!(opened, Err(HsmError::Refused(ReturnCode::DelegationNotLive)));
}

/// SCN-17: with one HSM left the keys work; with none the answer is `Unavailable`, within four seconds.
#[tokio::test(flavor = "multi_thread")]
async fn the_pool_goes_on_with_the_hsms_that_are_left_and_heals_when_they_return() {
    let mut cluster = Cluster::active().await;
    let gateway = Arc::new(cluster.identity(ClientRole::Gateway));
    let key_id = connected(&cluster, &gateway).await;
    let pool = pool(&cluster, gateway).await;
    let blob = pool.encrypt(key_id, b"x", b"").await.expect("encrypts");
    for index in [1, 0] {
        cluster.kill(index);
        for _ in 0..20 {
            let opened = pool.decrypt(&blob, b"").await.map_err(|error| error.to_string()).expect("decrypts");
            assert_eq!(opened.plaintext.as_slice(), b"x");
        }
    }
    cluster.kill(2);
    let begun = Instant::now();
    assert_eq!(pool.decrypt(&blob, b"").await.map(drop), Err(PoolError::Unavailable));
    // The pool gives up after four; the rest is for a busy machine to wake the one that waits.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    cluster.start(1);
    assert!(pool.wait_available(DIAL).await);
    assert!(pool.decrypt(&blob, b"").await.is_ok());
}

/// Shown by the HSM's own counters: an idle pool asks the HSM of its own zone.
#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_in_their_own_zone_while_it_is_idle() {
    let cluster = Cluster::active().await;
    let gateway = Arc::new(cluster.identity(ClientRole::Gateway));
    let key_id = connected(&cluster, &gateway).await;
    let pool = pool(&cluster, gateway).await;
    let encrypted = async |index: usize| {
        let info = cluster.session(index).await.hsm_info().await.expect("reads");
        let counts = info.commands.iter().filter(|count| count.command == 0x0501);
        counts.map(|count| count.succeeded).sum::<u64>()
    };
    for _ in 0..MOST_PASSES {
        let before = [encrypted(0).await, encrypted(1).await, encrypted(2).await];
        let mut slowest = Duration::ZERO;
        for _ in 0..25 {
            let begun = Instant::now();
            pool.encrypt(key_id, b"x", b"").await.expect("encrypts");
            slowest = slowest.max(begun.elapsed());
        }
        // After a second the pool asks another HSM as well: then the machine was busy, not the zone wrong.
        if slowest < Duration::from_millis(500) {
            let after = [encrypted(0).await, encrypted(1).await, encrypted(2).await];
            assert_eq!(after, [before[0], before[1] + 25, before[2]]);
            return;
        }
    }
    panic!("in each of {MOST_PASSES} passes a request took half a second");
}

/// Nothing is answered wrongly and nothing fails while any one HSM is killed.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_one_hsm_after_the_other_is_killed() {
    let mut cluster = Cluster::active().await;
    let gateway = Arc::new(cluster.identity(ClientRole::Gateway));
    let key_id = connected(&cluster, &gateway).await;
    let pool = Arc::new(pool(&cluster, gateway).await);
    let stop = tokio_util::sync::CancellationToken::new();
    let workers: Vec<_> = (0u32..8)
        .map(|worker| {
            let (pool, stop) = (pool.clone(), stop.clone());
            tokio::spawn(async move {
                let mut done = 0u32;
                while !stop.is_cancelled() {
                    let text = format!("{worker} {done}");
                    let blob = pool.encrypt(key_id, text.as_bytes(), b"").await.expect("encrypts");
                    let Ok(opened) = pool.decrypt(&blob, b"").await else { panic!("failed to decrypt") };
                    assert_eq!(opened.plaintext.as_slice(), text.as_bytes());
                    done += 1;
                }
                done
            })
        })
        .collect();
    for index in [0, 1, 2, 1] {
        // Time for load, and for the pool to notice whom it lost. The next one is killed when that one is back: one HSM at a time.
        tokio::time::sleep(Duration::from_millis(300)).await;
        all_connect(&pool).await;
        cluster.restart(index);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    all_connect(&pool).await;
    stop.cancel();
    for worker in workers {
        assert!(worker.await.expect("no request failed") > 0);
    }
}

/// D12: disconnecting ends use at once and for good, also for a pool that is in full swing.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_generation_is_dropped_is_refused() {
    let cluster = Cluster::active().await;
    let gateway = Arc::new(cluster.identity(ClientRole::Gateway));
    let key_id = connected(&cluster, &gateway).await;
    let pool = pool(&cluster, gateway).await;
    pool.encrypt(key_id, b"x", b"").await.expect("encrypts");
    for index in 0..3 {
        let controllers = cluster.session(index).await;
        let fence = cluster.fence(&controllers).await;
        controllers.drop_generation(STORE, 1, fence).await.expect("drops");
    }
    let refused = pool.encrypt(key_id, b"x", b"").await.expect_err("is refused");
    assert!(matches!(refused, PoolError::Refused(ReturnCode::DelegationNotLive) | PoolError::Unavailable));
}

/// An HSM that hangs holds its connections open: requests go on elsewhere, and after a few the hanging one is no longer
/// asked at all.
#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_hangs_costs_a_moment_and_fails_no_request() {
    let cluster = Cluster::active().await;
    let gateway = Arc::new(cluster.identity(ClientRole::Gateway));
    let key_id = connected(&cluster, &gateway).await;
    let pool = pool(&cluster, gateway).await;
    // The one in the pool's own zone, which is asked first.
    cluster.freeze(1);
    let begun = Instant::now();
    while pool.available() == 3 {
        assert!(begun.elapsed() < PATIENCE, "the hanging HSM is never given up");
        pool.encrypt(key_id, b"x", b"").await.expect("encrypts");
    }
    let mut times = Vec::new();
    for _ in 0..20 {
        assert_eq!(pool.available(), 2, "who has no session is not asked: {:?}", pool.members());
        let begun = Instant::now();
        pool.encrypt(key_id, b"x", b"").await.expect("encrypts");
        times.push(begun.elapsed());
    }
    // So long the pool waits for an HSM that hangs before it asks the next one. The median, because the machine may be busy now and then.
    times.sort();
    assert!(times[10] < Duration::from_secs(1), "{times:?}");
    assert_eq!(pool.available(), 2, "{:?}", pool.members());
    cluster.thaw(1);
    all_connect(&pool).await;
}

/// A pod that is made again has another address: the sessions of the others stay as they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_list_of_endpoints_moves_one_hsm_and_leaves_the_others_connected() {
    let mut cluster = Cluster::active().await;
    let gateway = Arc::new(cluster.identity(ClientRole::Gateway));
    let key_id = connected(&cluster, &gateway).await;
    let pool = pool(&cluster, gateway).await;
    let before = cluster.endpoint(0).await;
    cluster.relocate(0);
    let endpoints = cluster.endpoints().await;
    assert_ne!(endpoints[0].address, before.address);
    assert_eq!(endpoints[0].identity_fingerprint, before.identity_fingerprint);
    pool.update_endpoints(endpoints.clone());
    assert!(pool.available() >= 2, "the other sessions were dropped");
    all_connect(&pool).await;
    pool.update_endpoints(endpoints[1..].to_vec());
    assert_eq!(pool.members().len(), 2);
    pool.encrypt(key_id, b"x", b"").await.expect("encrypts");
}
