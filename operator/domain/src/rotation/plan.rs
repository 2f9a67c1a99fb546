//! The next step of P1: log in with what is known, write the intent, change, prove, mark.

use super::ring::{Ring, RingEntry};
use crate::connection::ConnectionErrorCode;
use crate::identifier::HsmId;

/// One active, reachable HSM as it reports `kmsuser`, and what this process holds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HsmCredential {
    /// Authenticated id.
    pub hsm_id: HsmId,
    /// Epoch of the user's credential.
    pub epoch: u64,
    /// Operation that set it.
    pub last_op_id: String,
    /// The user is locked.
    pub locked: bool,
    /// Epoch that this process proved by a login in this connect, and whose session it still holds.
    pub session: Option<u64>,
}

/// A connect's rotation as far as it has come.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// The ring as last read.
    pub ring: &'a Ring,
    /// The HSMs that can be reached.
    pub hsms: &'a [HsmCredential],
    /// What the owner supplied.
    pub supplied: Supplied,
    /// The epoch that this connect has marked active, if it has. Lost in a crash, which costs one more rotation and
    /// nothing else.
    pub completed: Option<u64>,
}

/// The password in the owner's Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Supplied {
    /// There is none.
    Nothing,
    /// The ring has a note that it logged in: it is tried where nothing else is known, and nowhere else.
    Used,
    /// It has not logged in yet, so it overrides the ring for this attempt.
    New,
}

/// Where the password for a login comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The ring's password of this epoch.
    Ring(u64),
    /// The password that the owner supplied.
    Supplied,
}

/// One step of the rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// Log in; a refusal ends the connect and is not repeated on another HSM (CKS-40).
    LogIn {
        /// Where.
        hsm: HsmId,
        /// With which password.
        with: Credential,
    },
    /// Add an intent with this epoch and a fresh password to the ring, by conditional write, and with it the note that the
    /// supplied password is used. Both passwords are durable before any HSM sees the new one.
    WriteIntent {
        /// Above every epoch of the ring and of the HSMs.
        epoch: u64,
    },
    /// Write that note beside an intent that was there before. Without it a crash after the first change would try the supplied
    /// password once more, on an HSM that never had it (INV-26).
    NoteSupplied,
    /// Compare and set on one HSM; ends the user's other sessions there.
    ChangePassword {
        /// Where.
        hsm: HsmId,
        /// The epoch that the HSM reported.
        expected: u64,
        /// The epoch to set.
        new: u64,
        /// The entry's operation, so that a repetition is a success.
        op_id: String,
    },
    /// Mark the intent active and all others retired, by conditional write.
    MarkActive {
        /// The intent's epoch.
        epoch: u64,
    },
    /// Every reachable HSM has the epoch and a proved session.
    Done {
        /// The active epoch.
        epoch: u64,
    },
    /// The connect fails.
    Fail(ConnectionErrorCode),
}

/// What is to be done next.
///
/// Guarantees: a password reaches an HSM only after the ring holds it (INV-24, INV-25); an existing intent is adopted
/// (INV-27), and replaced only when an HSM is at or past its epoch by another hand, in which case it stays in the ring; no
/// login is tried with a password that is known to be another epoch's (INV-26); [`RotationStep::Done`] comes after a login
/// with the new password on every reachable HSM (INV-28).
pub fn next_step(rotation: &Rotation<'_>) -> RotationStep {
    let mut hsms: Vec<&HsmCredential> = rotation.hsms.iter().collect();
    hsms.sort_by(|one, other| one.hsm_id.cmp(&other.hsm_id));
    if hsms.is_empty() {
        return RotationStep::Fail(ConnectionErrorCode::NetworkErrors);
    }
    if hsms.iter().any(|hsm| hsm.locked) {
        return RotationStep::Fail(ConnectionErrorCode::UserLockedOut);
    }
    let target = target(rotation, &hsms);
    first_login(rotation, &hsms, target)
        .or_else(|| target.is_none().then(|| RotationStep::WriteIntent { epoch: next_epoch(rotation.ring, &hsms) }))
        .or_else(|| (rotation.supplied == Supplied::New).then_some(RotationStep::NoteSupplied))
        .or_else(|| target.and_then(|target| bring_to(target, &hsms)))
        .or_else(|| target.map(|target| finish(rotation, target)))
        .unwrap_or(RotationStep::Fail(ConnectionErrorCode::InternalError))
}

/// The entry to bring to the HSMs: what this connect has completed, else a usable intent.
fn target<'a>(rotation: &Rotation<'a>, hsms: &[&HsmCredential]) -> Option<&'a RingEntry> {
    if let Some(active) = rotation.ring.active().filter(|active| rotation.completed == Some(active.epoch)) {
        return Some(active);
    }
    let intent = rotation.ring.intent()?;
    let overtaken = hsms.iter().any(|hsm| hsm.epoch >= intent.epoch && !has(hsm, intent));
    (!overtaken).then_some(intent)
}

fn has(hsm: &HsmCredential, entry: &RingEntry) -> bool {
    hsm.epoch == entry.epoch && hsm.last_op_id == entry.op_id
}

fn next_epoch(ring: &Ring, hsms: &[&HsmCredential]) -> u64 {
    hsms.iter().map(|hsm| hsm.epoch).fold(ring.highest_epoch(), u64::max).saturating_add(1)
}

/// The first login that is missing, lowest HSM id first, so that failures gather on one HSM.
fn first_login(rotation: &Rotation<'_>, hsms: &[&HsmCredential], target: Option<&RingEntry>) -> Option<RotationStep> {
    let behind = |hsm: &&&HsmCredential| !target.is_some_and(|target| has(hsm, target));
    let missing = hsms.iter().filter(behind).find(|hsm| hsm.session != Some(hsm.epoch))?;
    let lowest = hsms.iter().find(behind).is_some_and(|lowest| lowest.hsm_id == missing.hsm_id);
    let all_known = hsms.iter().filter(behind).all(|hsm| known_epoch(rotation.ring, hsm).is_some());
    // A supplied password is for the HSMs whose epoch is not ours. If there are none a new one is tried on the lowest
    // HSM, so that a wrong one shows as INVALID_CREDENTIALS and is not silently left unused.
    let overriding = rotation.supplied == Supplied::New && all_known && lowest;
    if !all_known && rotation.supplied == Supplied::Nothing {
        return Some(RotationStep::Fail(ConnectionErrorCode::InvalidCredentials));
    }
    let with = match known_epoch(rotation.ring, missing) {
        Some(epoch) if !overriding => Credential::Ring(epoch),
        Some(_) | None => Credential::Supplied,
    };
    Some(RotationStep::LogIn { hsm: missing.hsm_id.clone(), with })
}

/// The HSM's epoch, if the ring has its password.
fn known_epoch(ring: &Ring, hsm: &HsmCredential) -> Option<u64> {
    ring.set_by(hsm.epoch, &hsm.last_op_id).map(|entry| entry.epoch)
}

/// Changes where the target is missing, then proves it where it is not proved.
fn bring_to(target: &RingEntry, hsms: &[&HsmCredential]) -> Option<RotationStep> {
    if let Some(hsm) = hsms.iter().find(|hsm| !has(hsm, target)) {
        return Some(change(hsm, target));
    }
    let unproved = hsms.iter().find(|hsm| hsm.session != Some(target.epoch))?;
    Some(RotationStep::LogIn { hsm: unproved.hsm_id.clone(), with: Credential::Ring(target.epoch) })
}

fn change(hsm: &HsmCredential, target: &RingEntry) -> RotationStep {
    RotationStep::ChangePassword {
        hsm: hsm.hsm_id.clone(),
        expected: hsm.epoch,
        new: target.epoch,
        op_id: target.op_id.clone(),
    }
}

fn finish(rotation: &Rotation<'_>, target: &RingEntry) -> RotationStep {
    if rotation.completed == Some(target.epoch) {
        RotationStep::Done { epoch: target.epoch }
    } else {
        RotationStep::MarkActive { epoch: target.epoch }
    }
}

/// What to do with an HSM that comes back while the store is connected (P1 step 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forward {
    /// Do this, then ask again.
    Step(RotationStep),
    /// It has the active credential and a proved session: it may serve.
    InService,
    /// Its credential is not ours, or the user is locked. It stays out of service; no login is spent on it (INV-25).
    OutOfService,
}

/// Brings one HSM to the active epoch, however many rotations it missed (INV-31).
pub fn bring_forward(ring: &Ring, hsm: &HsmCredential) -> Forward {
    let Some(active) = ring.active().filter(|_| !hsm.locked) else { return Forward::OutOfService };
    let log_in = |epoch| RotationStep::LogIn { hsm: hsm.hsm_id.clone(), with: Credential::Ring(epoch) };
    if has(hsm, active) {
        let proved = hsm.session == Some(active.epoch);
        return if proved { Forward::InService } else { Forward::Step(log_in(active.epoch)) };
    }
    match ring.set_by(hsm.epoch, &hsm.last_op_id) {
        Some(own) if own.epoch < active.epoch && hsm.session == Some(own.epoch) => Forward::Step(change(hsm, active)),
        Some(own) if own.epoch < active.epoch => Forward::Step(log_in(own.epoch)),
        Some(_) | None => Forward::OutOfService,
    }
}
