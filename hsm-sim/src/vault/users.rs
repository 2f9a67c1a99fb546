//! All users of this HSM: lookup, one login attempt per name at a time, durable changes.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, RwLock};

use hsm_protocol::ReturnCode;
use hsm_protocol::message::UserType;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::lockout::{self, FIRST_SLOT, Verdict};
use super::password::Verifier;
use super::rows::put;
use super::user::{User, canonical_name};
use super::{Outcome, storage_code};
use crate::store::committer::{Change, Store};
use crate::store::counters::{Counters, SLOTS};
use crate::store::record::{RecordKind, RecordName};

const TURNS: usize = 64;
/// PBKDF2 runs at once; more would only starve the sessions.
const CONCURRENT_VERIFICATIONS: usize = 2;
/// Longer input than any password is refused without being hashed.
const MAX_ATTEMPT: usize = 256;

/// A successful login.
pub(crate) struct LoggedIn {
    /// Canonical name.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) user_type: UserType,
    /// Epoch of the password that matched.
    pub(crate) epoch: u64,
}

/// The users.
pub(crate) struct Users {
    by_name: RwLock<BTreeMap<String, Arc<User>>>,
    counters: Arc<Counters>,
    /// Of the verifiers to come.
    iterations: u32,
    turns: Vec<Arc<Mutex<()>>>,
    verifications: Arc<Semaphore>,
}

impl Users {
    /// The users read from the volume. `iterations` are those of new verifiers; one that is there keeps its own until its password changes.
    pub(crate) fn new(users: Vec<User>, counters: Arc<Counters>, iterations: u32) -> Self {
        let by_name = users.into_iter().map(|user| (user.name.clone(), Arc::new(user))).collect();
        Self {
            by_name: RwLock::new(by_name),
            counters,
            iterations,
            turns: (0..TURNS).map(|_| Arc::default()).collect(),
            verifications: Arc::new(Semaphore::new(CONCURRENT_VERIFICATIONS)),
        }
    }

    /// One user by canonical name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<User>> {
        self.read().get(name).cloned()
    }

    /// Every user, by name.
    pub(crate) fn all(&self) -> Vec<Arc<User>> {
        self.read().values().cloned().collect()
    }

    /// Consecutive failures, and whether they lock.
    pub(crate) fn lock_state(&self, user: &User) -> (u32, bool) {
        let failures = lockout::failures(&self.counters, user);
        (u32::try_from(failures).unwrap_or(u32::MAX), failures >= lockout::LIMIT)
    }

    /// Iterations that each attempt takes, of whatever user and of nobody: those of the dearest verifier, or of the next one if it will have
    /// more. Else, once the setting was changed, a name that nobody has would be told from one with an older verifier (INV-64).
    pub(super) fn cost(&self) -> u32 {
        self.read().values().map(|user| user.verifier.iterations).fold(self.iterations, u32::max)
    }

    /// Waits until no login attempt or change runs for this name. Unknown names wait alike.
    pub(crate) async fn turn(&self, name: &str) -> OwnedMutexGuard<()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or(0);
        Arc::clone(&self.turns[index]).lock_owned().await
    }

    /// Verifies a password (INV-60…64). An attempt that has begun is counted even if the caller goes away.
    ///
    /// # Errors
    /// `LoginFailure`, `UserLocked`, `DeadlineExceeded` before anything was counted, `StorageFailed`.
    pub(crate) async fn login(
        self: &Arc<Self>,
        name: &str,
        password: Zeroizing<String>,
        deadline: Option<Instant>,
    ) -> Outcome<LoggedIn> {
        if password.len() > MAX_ATTEMPT {
            return Err(ReturnCode::InvalidArgument);
        }
        let canonical = canonical_name(name);
        let turn = self.turn(canonical.as_deref().unwrap_or(name)).await;
        let permit = Arc::clone(&self.verifications).acquire_owned().await.map_err(|_| ReturnCode::Internal)?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(ReturnCode::DeadlineExceeded);
        }
        let user = canonical.and_then(|name| self.find(&name));
        let (counters, subject, cost) = (Arc::clone(&self.counters), user.clone(), self.cost());
        // Turn and permit move into the thread: if the session dies now, the next attempt still waits for this one.
        let attempt = tokio::task::spawn_blocking(move || {
            let _held = (turn, permit);
            lockout::attempt(&counters, subject.as_deref(), &password, cost)
        });
        let verdict = attempt.await.map_err(|_| ReturnCode::Internal)?.map_err(|error| storage_code(&error))?;
        match (verdict, user) {
            (Verdict::Matched, Some(user)) => {
                Ok(LoggedIn { name: user.name.clone(), user_type: user.user_type, epoch: user.epoch })
            }
            (Verdict::Locked, _) => Err(ReturnCode::UserLocked),
            (Verdict::Matched | Verdict::Refused, _) => Err(ReturnCode::LoginFailure),
        }
    }

    /// Hashes a new password where blocking is allowed.
    ///
    /// # Errors
    /// `Internal` if the generator fails.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Outcome<Verifier> {
        let permit = Arc::clone(&self.verifications).acquire_owned().await.map_err(|_| ReturnCode::Internal)?;
        let iterations = self.iterations;
        let hashing = tokio::task::spawn_blocking(move || {
            let _held = permit;
            Verifier::new(&password, iterations)
        });
        hashing.await.map_err(|_| ReturnCode::Internal)?
    }

    /// Lowest slot that no user has.
    ///
    /// # Errors
    /// `StorageFull` if all are taken.
    pub(crate) fn free_slot(&self, besides: &HashSet<usize>) -> Outcome<usize> {
        let taken: HashSet<usize> = self.read().values().map(|user| user.slot).collect();
        let free = (FIRST_SLOT..SLOTS).find(|slot| !taken.contains(slot) && !besides.contains(slot));
        free.ok_or(ReturnCode::StorageFull)
    }

    /// Writes a user with its counter, together with `also`, and publishes it once durable.
    ///
    /// # Errors
    /// `StorageFull`, `StorageFailed`; nothing has changed then, or the process stops.
    pub(crate) async fn save(&self, store: &Store, user: User, failures: u32, also: Vec<Change>) -> Outcome<()> {
        self.start_counter(&user, failures).await?;
        let mut changes = also;
        changes.push(put(RecordKind::User, user.name.as_bytes(), &user.row()));
        store.commit(changes).await.map_err(|error| storage_code(&error))?;
        self.publish(user);
        Ok(())
    }

    /// Makes a new user's counter durable.
    ///
    /// # Errors
    /// `StorageFailed`.
    pub(crate) async fn start_counter(&self, user: &User, failures: u32) -> Outcome<()> {
        let (counters, subject) = (Arc::clone(&self.counters), user.clone());
        let started = tokio::task::spawn_blocking(move || lockout::start(&counters, &subject, u64::from(failures)));
        started.await.map_err(|_| ReturnCode::Internal)?.map_err(|error| storage_code(&error))
    }

    /// Makes a durable user visible.
    pub(crate) fn publish(&self, user: User) {
        self.write().insert(user.name.clone(), Arc::new(user));
    }

    /// Removes a user, durably.
    ///
    /// # Errors
    /// `StorageFull`, `StorageFailed`.
    pub(crate) async fn delete(&self, store: &Store, name: &str) -> Outcome<()> {
        let change = Change::Delete(RecordName::new(RecordKind::User, name));
        store.commit(vec![change]).await.map_err(|error| storage_code(&error))?;
        self.write().remove(name);
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<User>>> {
        self.by_name.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<User>>> {
        self.by_name.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
