//! kill -9 during creates and encrypts: nothing that was acknowledged is lost (INV-01, INV-03, INV-18).

use crate::harness::Cluster;
use crate::harness::keys::new_key;
use hsm_client::{HsmError, KMS_USER, KeyId, Session};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const CYCLES: usize = 30;

/// What has been acknowledged: only entries in here are promises.
#[derive(Default)]
struct Acknowledged {
    keys: Vec<(KeyId, [u8; 32])>,
    ciphertexts: Vec<(KeyId, Vec<u8>)>,
}

/// One HSM as a worker sees it: a session that is opened anew whenever it broke.
struct Target {
    endpoint: hsm_client::HsmEndpoint,
    fence: u64,
    session: Option<Session>,
}

struct Worker {
    identity: Arc<hsm_client::ClientIdentity>,
    anchor: hsm_client::TrustAnchor,
    password: zeroize::Zeroizing<String>,
    targets: Vec<Target>,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

impl Worker {
    async fn session(&mut self, index: usize) -> Option<(Session, u64)> {
        let target = &mut self.targets[index % 3];
        if target.session.as_ref().is_none_or(|session| !session.is_open()) {
            let dial = Session::connect(&target.endpoint, &self.identity, &self.anchor, Duration::from_secs(1));
            let session = dial.await.ok()?;
            session.login(KMS_USER, &self.password).await.ok()?;
            target.session = Some(session);
        }
        target.session.clone().map(|session| (session, target.fence))
    }

    /// P2: generate on one HSM, copy to another, read back from both; only then it counts.
    async fn create(&mut self, turn: usize) -> Option<()> {
        let (one, one_fence) = self.session(turn).await?;
        let (two, two_fence) = self.session(turn + 1).await?;
        let key = new_key(one_fence);
        one.generate_key(&key).await.ok()?;
        let masked = one.extract_masked_key(key.key_id).await.ok()?;
        two.insert_masked_key(&masked, two_fence).await.ok()?;
        let (here, there) = (one.read_key(key.key_id).await.ok()?, two.read_key(key.key_id).await.ok()?);
        assert_eq!(here.fingerprint, there.fingerprint, "one key id, one material (INV-06)");
        self.acknowledged.lock().expect("lock").keys.push((key.key_id, here.fingerprint));
        Some(())
    }

    async fn encrypt(&mut self, turn: usize) -> Option<()> {
        let key_id = {
            let acknowledged = self.acknowledged.lock().expect("lock");
            acknowledged.keys.get(turn * 7 % acknowledged.keys.len().max(1))?.0
        };
        let (session, _) = self.session(turn).await?;
        let blob = session.encrypt(key_id, key_id.as_bytes(), b"").await.ok()?;
        self.acknowledged.lock().expect("lock").ciphertexts.push((key_id, blob));
        Some(())
    }

    async fn run(mut self, stop: CancellationToken) {
        let mut turn = 0;
        while !stop.is_cancelled() {
            turn += 1;
            let created = self.create(turn).await;
            let encrypted = self.encrypt(turn).await;
            if created.is_none() && encrypted.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn worker(cluster: &Cluster, acknowledged: Arc<Mutex<Acknowledged>>) -> Worker {
    let mut targets = Vec::new();
    for index in 0..3 {
        let session = cluster.session(index).await;
        let fence = cluster.fence(&session).await;
        targets.push(Target { endpoint: cluster.endpoint(index).await, fence, session: None });
    }
    Worker {
        identity: Arc::new(cluster.identity(hsm_client::pki::ClientRole::Controllers)),
        anchor: cluster.anchor(),
        password: cluster.kmsuser_password(),
        targets,
        acknowledged,
    }
}

/// Every acknowledged key is on every HSM with its fingerprint; every acknowledged ciphertext decrypts on every HSM.
async fn check(cluster: &Cluster, acknowledged: &Acknowledged) {
    for index in 0..3 {
        let session = cluster.kmsuser(index).await;
        for (key_id, fingerprint) in &acknowledged.keys {
            let record = session.read_key(*key_id).await;
            let record = record.unwrap_or_else(|error: HsmError| panic!("lost {key_id} on HSM {index}: {error}"));
            assert_eq!((record.fingerprint, record.conflict), (*fingerprint, false));
        }
        for (key_id, blob) in &acknowledged.ciphertexts {
            let Ok(opened) = session.decrypt(blob, b"").await else { panic!("lost a ciphertext of {key_id}") };
            assert_eq!(opened.plaintext.as_slice(), key_id.as_bytes());
        }
    }
}

/// Waits until two more keys and two more ciphertexts have been acknowledged: each kill falls into work that succeeds.
async fn progress(acknowledged: &Mutex<Acknowledged>) {
    let counts = || {
        let acknowledged = acknowledged.lock().expect("lock");
        (acknowledged.keys.len(), acknowledged.ciphertexts.len())
    };
    let (keys, ciphertexts) = counts();
    let deadline = Instant::now() + Duration::from_secs(30);
    while counts().0 < keys + 2 || counts().1 < ciphertexts + 2 {
        assert!(Instant::now() < deadline, "two HSMs of three are up, and nothing succeeds");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_over_thirty_kills_during_creates_and_encrypts() {
    let mut cluster = Cluster::active().await;
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(tokio::spawn(worker(&cluster, acknowledged.clone()).await.run(stop.clone())));
    }
    for cycle in 0..CYCLES {
        progress(&acknowledged).await;
        // Uneven pauses, so that the kill falls on different moments.
        tokio::time::sleep(Duration::from_millis(7 * (cycle as u64 % 9))).await;
        cluster.restart(cycle % 3);
    }
    progress(&acknowledged).await;
    stop.cancel();
    for worker in workers {
        worker.await.expect("no worker saw a wrong answer");
    }
    cluster.settled().await;
    let acknowledged = std::mem::take(&mut *acknowledged.lock().expect("lock"));
    println!("{} keys and {} ciphertexts acknowledged", acknowledged.keys.len(), acknowledged.ciphertexts.len());
    assert!(acknowledged.keys.len() >= 2 * CYCLES, "too little was acknowledged to prove anything");
    check(&cluster, &acknowledged).await;
}
