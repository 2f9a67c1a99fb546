//! kill -9 of one HSM, of two, and of the whole cluster during creates, copies, encrypts and password changes: nothing that was acknowledged
//! is lost, nothing is there twice (INV-01, INV-03, INV-06, INV-18, INV-24).

use crate::harness::Cluster;
use crate::harness::keys::new_key;
use crate::history::{Event, violations};
use crate::seats::{Access, Shared};
use hsm_client::KeyId;
use hsm_client::command::{NewUser, PasswordChange, UserType};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Rounds of killing, each of one to three processes.
const ROUNDS: usize = 500;
/// HSMs of the cluster.
pub(crate) const HSMS: usize = 3;
/// Workers that make keys and encrypt, at the same time.
const WORKERS: usize = 2;
/// A user whose password is changed while its HSM may die; `kmsuser` is busy with keys.
const ROTATED: &str = "rotated";
/// So much must have been acknowledged, and so much interrupted, or the kills fell into idle time (L2).
const FLOOR: usize = ROUNDS / 5;

struct Worker {
    access: Arc<Access>,
    shared: Shared,
}

impl Worker {
    /// P2: generate on one HSM, copy to another, read back from both; only then it counts. A lost reply is asked for again, at the same HSM
    /// under the same operation (INV-23): that must give the same key.
    async fn create(&self, turn: usize) -> Option<()> {
        let (one, one_fence) = self.access.kmsuser(turn).await?;
        let new = new_key(one_fence);
        let (id, key) = (new.key_id, new.key_id.0);
        self.shared.note(Event::Asked { key });
        let made = match one.generate_key(&new).await {
            Err(error) if error.is_indefinite() => {
                self.shared.with(|record| record.interrupted += 1);
                let (again, _) = self.access.kmsuser(turn).await?;
                self.shared.answer(again.generate_key(&new).await)?
            }
            outcome => self.shared.answer(outcome)?,
        };
        self.shared.note(Event::Seen { key, fingerprint: made.fingerprint });
        let masked = self.shared.answer(one.extract_masked_key(id).await)?;
        let (two, two_fence) = self.access.kmsuser(turn + 1).await?;
        self.shared.answer(two.insert_masked_key(&masked, two_fence).await)?;
        let here = self.shared.answer(one.read_key(id).await)?.fingerprint;
        let fingerprint = self.shared.answer(two.read_key(id).await)?.fingerprint;
        self.shared.note(Event::Seen { key, fingerprint: here });
        self.shared.promise(Event::Acknowledged { key, fingerprint });
        let blob = self.shared.answer(two.encrypt(id, &key, b"").await)?;
        self.shared.with(|record| {
            record.events.push(Event::Sealed { key, blob: record.blobs.len() });
            record.blobs.push((id, blob));
        });
        Some(())
    }

    async fn run(self, first: usize, stop: CancellationToken) {
        let mut turn = first;
        while !stop.is_cancelled() {
            turn += 1;
            if self.create(turn).await.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

fn password(epoch: u64) -> String {
    format!("Password{epoch}")
}

/// Changes the password of [`ROTATED`] on one HSM after the other, from whatever epoch that HSM reports.
struct Rotator {
    access: Arc<Access>,
    shared: Shared,
}

impl Rotator {
    async fn change(&self, hsm: usize) -> Option<()> {
        let session = self.access.dial(hsm).await?;
        let epoch = session.user_info(ROTATED).await.ok()??.epoch;
        self.access.login(&session, ROTATED, &password(epoch)).await?;
        let (new_epoch, new_password) = (epoch + 1, password(epoch + 1));
        self.shared.note(Event::ChangeAsked { hsm, epoch: new_epoch });
        let change = PasswordChange {
            user: ROTATED,
            new_password: &new_password,
            expected_epoch: epoch,
            new_epoch,
            op_id: u128::from(new_epoch).to_be_bytes(),
            fence: self.access.seats[hsm].fence,
        };
        self.shared.answer(session.change_password(change).await)?;
        self.shared.promise(Event::ChangeAcknowledged { hsm, epoch: new_epoch });
        Some(())
    }

    async fn run(self, stop: CancellationToken) {
        for hsm in (0..HSMS).cycle() {
            if stop.is_cancelled() {
                return;
            }
            let _interrupted = self.change(hsm).await;
            // Without a pause the handshakes for this would be most of what the machine does.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn make_rotated(cluster: &Cluster) {
    for index in 0..HSMS {
        let officer = cluster.officer(index).await;
        let fence = cluster.fence(&officer).await;
        let (user_type, password, op_id) = (UserType::Cu, password(1), [1; 16]);
        let user = NewUser { user: ROTATED, user_type, password: &password, epoch: 1, op_id, fence };
        officer.create_user(user).await.expect("creates the user");
    }
}

/// Which HSMs die in a round: mostly one, often two, and every tenth time all of them at once.
fn victims(round: usize) -> Vec<usize> {
    match round % 10 {
        9 => vec![0, 1, 2],
        8 | 6 | 3 => vec![round % HSMS, (round + 1) % HSMS],
        _ => vec![round % HSMS],
    }
}

/// Waits until something was acknowledged since: each kill falls into work that succeeds.
async fn progress(shared: &Shared) {
    let acknowledged = || shared.with(|record| record.acknowledged);
    let (before, deadline) = (acknowledged(), Instant::now() + Duration::from_secs(60));
    while acknowledged() == before {
        assert!(Instant::now() < deadline, "all HSMs are up, and nothing succeeds");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What every HSM holds at the end.
async fn tell(cluster: &Cluster, shared: &Shared) {
    let asked: BTreeSet<_> = shared.with(|record| {
        let asked = |event: &Event| if let Event::Asked { key } = event { Some(*key) } else { None };
        record.events.iter().filter_map(asked).collect()
    });
    let blobs = shared.with(|record| record.blobs.clone());
    for hsm in 0..HSMS {
        let session = cluster.kmsuser(hsm).await;
        for key in &asked {
            if let Ok(record) = session.read_key(KeyId(*key)).await {
                let (fingerprint, conflict) = (record.fingerprint, record.conflict);
                shared.note(Event::HeldAtEnd { hsm, key: *key, fingerprint, conflict });
            }
        }
        for (blob, (id, bytes)) in blobs.iter().enumerate() {
            let opened = session.decrypt(bytes, b"").await;
            let right = opened.is_ok_and(|opened| opened.plaintext.as_slice() == id.0);
            shared.note(Event::Opened { hsm, blob, right });
        }
        let epoch = session.user_info(ROTATED).await.expect("answers").expect("exists").epoch;
        let logs_in = cluster.session(hsm).await.login(ROTATED, &password(epoch)).await.is_ok();
        shared.note(Event::EpochAtEnd { hsm, epoch, logs_in });
        shared.note(Event::Told { hsm });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_over_five_hundred_rounds_of_kills() {
    let mut cluster = Cluster::active().await;
    make_rotated(&cluster).await;
    let (shared, stop) = (Shared::default(), CancellationToken::new());
    let access = Arc::new(Access::to(&cluster).await);
    let (began, mut kills, mut tasks) = (Instant::now(), 0, Vec::new());
    for first in 0..WORKERS {
        let worker = Worker { access: access.clone(), shared: shared.clone() };
        tasks.push(tokio::spawn(worker.run(first, stop.clone())));
    }
    let rotator = Rotator { access: access.clone(), shared: shared.clone() };
    tasks.push(tokio::spawn(rotator.run(stop.clone())));
    for round in 0..ROUNDS {
        progress(&shared).await;
        // Uneven pauses, so that the kill falls on different moments.
        tokio::time::sleep(Duration::from_micros(700 * (round as u64 * 7 % 29))).await;
        let _no_login_needs_peace = access.peace.lock().await;
        let victims = victims(round);
        kills += victims.len();
        victims.iter().for_each(|hsm| cluster.kill(*hsm));
        victims.iter().for_each(|hsm| cluster.start(*hsm));
    }
    progress(&shared).await;
    stop.cancel();
    for task in tasks {
        task.await.expect("ends");
    }
    let rounds = began.elapsed();
    cluster.settled().await;
    tell(&cluster, &shared).await;
    let record = std::mem::take(&mut *shared.0.lock().unwrap_or_else(PoisonError::into_inner));
    let (acknowledged, interrupted) = (record.acknowledged, record.interrupted);
    println!("{kills} kills in {rounds:?}: {acknowledged} acknowledged, {interrupted} interrupted");
    assert!(
        acknowledged >= ROUNDS && interrupted >= FLOOR,
        "{acknowledged}, {interrupted}: too little to prove anything"
    );
    assert_eq!(violations(&record.events, HSMS), BTreeSet::new());
}
