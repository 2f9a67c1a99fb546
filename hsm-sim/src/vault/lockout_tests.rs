//! Lockout as a table, across restarts, and with the disk stopping at every write.

use std::path::Path;
use std::sync::Arc;

use hsm_protocol::message::UserType;

use super::*;
use crate::store::counters::CellFile;
use crate::store::sealing::VolumeKeys;
use crate::vault::users::Users;

const RIGHT: &str = "Rightpass1";
const WRONG: &str = "Wrongpass1";

/// Iterations of the verifier, few: the table is about counting.
const ROUNDS: u32 = 2;

fn user() -> User {
    let mut verifier = Verifier { salt: [7; 16], hash: zeroize::Zeroizing::new(vec![0; 32]), iterations: ROUNDS };
    let rounds = std::num::NonZeroU32::new(ROUNDS).expect("not zero");
    let mut hash = vec![0; 32];
    aws_lc_rs::pbkdf2::derive(
        aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA512,
        rounds,
        &verifier.salt,
        RIGHT.as_bytes(),
        &mut hash,
    );
    verifier.hash = zeroize::Zeroizing::new(hash);
    User { name: "kmsuser".into(), user_type: UserType::Cu, epoch: 1, verifier, last_op_id: vec![], slot: FIRST_SLOT }
}

fn attempt(counters: &Counters, user: Option<&User>, password: &str) -> Result<Verdict, StoreError> {
    super::attempt(counters, user, password, ROUNDS)
}

fn open(path: &Path) -> Counters {
    let keys = Arc::new(VolumeKeys::derive(&[1; 32], &[2; 32]).expect("derives"));
    Counters::open(path, keys, Arc::new(|_| ())).expect("opens")
}

fn fresh(dir: &tempfile::TempDir) -> std::path::PathBuf {
    let path = dir.path().join("counters");
    Counters::create(&path).expect("created");
    start(&open(&path), &user(), 0).expect("started");
    path
}

/// INV-61: w = wrong, r = right; expected verdicts M = matched, R = refused, L = locked.
#[test]
fn the_fifth_consecutive_failure_locks_and_a_success_before_it_resets() {
    for (attempts, verdicts) in [
        ("r", "M"),
        ("wwwwr", "RRRRM"),
        ("wwwww", "RRRRR"),
        ("wwwwwr", "RRRRRL"),
        ("wwwwrwwwwr", "RRRRMRRRRM"),
        ("wwwwrwwwwwrw", "RRRRMRRRRRLL"),
    ] {
        for restart_each_time in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = fresh(&dir);
            let mut counters = open(&path);
            let mut seen = String::new();
            for password in attempts.chars() {
                if restart_each_time {
                    counters = open(&path);
                }
                let password = if password == 'r' { RIGHT } else { WRONG };
                seen.push(match attempt(&counters, Some(&user()), password).unwrap() {
                    Verdict::Matched => 'M',
                    Verdict::Refused => 'R',
                    Verdict::Locked => 'L',
                });
            }
            assert_eq!(seen, verdicts, "{attempts}, restart {restart_each_time}");
        }
    }
}

/// A disk with a write cache: what was not synced is gone when the power goes.
struct CachingDisk {
    path: std::path::PathBuf,
    cached: std::sync::Mutex<Vec<(Vec<u8>, u64)>>,
}

impl CellFile for CachingDisk {
    fn write_all_at(&self, bytes: &[u8], at: u64) -> std::io::Result<()> {
        self.cached.lock().expect("not poisoned").push((bytes.to_vec(), at));
        Ok(())
    }

    fn sync(&self) -> std::io::Result<()> {
        let file = std::fs::OpenOptions::new().write(true).open(&self.path)?;
        for (bytes, at) in self.cached.lock().expect("not poisoned").drain(..) {
            std::os::unix::fs::FileExt::write_all_at(&file, &bytes, at)?;
        }
        Ok(())
    }
}

/// INV-62: when the power goes right after the verdict, the failure is on the disk.
#[test]
fn every_failure_is_on_disk_before_the_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let path = fresh(&dir);
    let disk = CachingDisk { path: path.clone(), cached: std::sync::Mutex::default() };
    let counters = open(&path).on(Box::new(disk));
    for count in 1..=LIMIT {
        assert_eq!(attempt(&counters, Some(&user()), WRONG).unwrap(), Verdict::Refused);
        assert_eq!(failures(&open(&path), &user()), count);
    }
}

/// A disk that takes no write.
struct FullDisk;

impl CellFile for FullDisk {
    fn write_all_at(&self, _: &[u8], _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// INV-62: without a durable count there is no verdict, not even for the right password.
#[test]
fn without_a_durable_count_no_password_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = fresh(&dir);
    let counters = open(&path).on(Box::new(FullDisk));
    for password in [RIGHT, WRONG] {
        assert!(attempt(&counters, Some(&user()), password).is_err());
        assert!(attempt(&counters, None, password).is_err());
    }
}

/// Counts what a login costs the disk.
#[derive(Default)]
struct CountingDisk(Arc<std::sync::Mutex<(usize, usize)>>);

impl CellFile for CountingDisk {
    fn write_all_at(&self, bytes: &[u8], _: u64) -> std::io::Result<()> {
        self.0.lock().expect("not poisoned").0 += bytes.len();
        Ok(())
    }

    fn sync(&self) -> std::io::Result<()> {
        self.0.lock().expect("not poisoned").1 += 1;
        Ok(())
    }
}

/// INV-64: an unknown user costs exactly what a wrong password costs: the same write, the same sync, as many hash
/// iterations as every other attempt takes.
#[test]
fn an_unknown_user_costs_what_a_wrong_password_costs() {
    let dir = tempfile::tempdir().unwrap();
    let path = fresh(&dir);
    let costs = [Some(user()), None].map(|subject| {
        let cost = Arc::default();
        let counters = open(&path).on(Box::new(CountingDisk(Arc::clone(&cost))));
        assert_eq!(attempt(&counters, subject.as_ref(), WRONG).unwrap(), Verdict::Refused);
        *cost.lock().unwrap()
    });
    assert_eq!(costs[0], costs[1]);
    assert_eq!(costs[0].1, 1);
    let (known, nobody) = (Verifier::new(RIGHT, ROUNDS).unwrap(), Verifier::of_nobody(ROUNDS));
    assert_eq!((known.iterations, known.hash.len()), (nobody.iterations, nobody.hash.len()));
}

/// INV-64: whose verifier is older than the setting, and whose name is nobody's, is not told by how long an attempt takes.
#[test]
fn every_attempt_takes_the_iterations_of_the_dearest_verifier_or_of_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let counters = Arc::new(open(&fresh(&dir)));
    let cases: [(&[u32], u32, u32); 4] = [
        (&[], 1_000, 1_000),
        (&[1_000], 3_000, 3_000),
        (&[3_000], 1_000, 3_000),
        (&[1_000, 4_000, 2_000], 3_000, 4_000),
    ];
    for (stored, setting, cost) in cases {
        let of = |iterations: &u32| User {
            name: format!("user{iterations}"),
            verifier: Verifier { iterations: *iterations, ..user().verifier },
            ..user()
        };
        let users = Users::new(stored.iter().map(of).collect(), Arc::clone(&counters), setting);
        assert_eq!(users.cost(), cost, "{stored:?}, {setting}");
    }
}

#[test]
fn an_unknown_user_is_refused_for_ever_and_leaves_no_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = fresh(&dir);
    let counters = open(&path);
    for _ in 0..8 {
        assert_eq!(attempt(&counters, None, RIGHT).unwrap(), Verdict::Refused);
    }
    assert_eq!(failures(&open(&path), &user()), 0);
}

/// HSM-44: a new password starts a new count; fail closed when the counter cannot be read.
#[test]
fn a_new_password_unlocks_and_a_lost_counter_locks() {
    let dir = tempfile::tempdir().unwrap();
    let path = fresh(&dir);
    let counters = open(&path);
    for _ in 0..LIMIT {
        attempt(&counters, Some(&user()), WRONG).unwrap();
    }
    let mut changed = user();
    changed.verifier.salt = [8; 16];
    assert_eq!(failures(&counters, &changed), 0);
    let lost = User { slot: FIRST_SLOT + 1, ..user() };
    assert_eq!(attempt(&counters, Some(&lost), RIGHT).unwrap(), Verdict::Locked);
}
