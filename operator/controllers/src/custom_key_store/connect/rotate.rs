//! Steps 11 and 12: log in with what is known and rotate the password on every HSM, step by step as protocol P1 plans it.
//!
//! The ring is written before any HSM is changed (INV-25), and what is found in it is finished, never replaced (INV-27), so a crash at any point
//! leaves every HSM with a password that the ring has (INV-24).

use hsm_initialization::password::{Password, random_op_id};
use hsm_initialization::ring::Ring;
use operator_api::{ConnectionErrorCode, CustomKeyStore};
use operator_domain::{
    connection::ConnectStep,
    rotation::{Credential, HsmCredential, Rotation, RotationStep, Supplied, next_step},
};

use super::{Stop, reach, stop};
use crate::{
    context::Context,
    custom_key_store::{
        delegates::CommandError,
        error::StoreError,
        failure::{self, ConnectFailure},
        kmsuser::{self, Hsm},
        observe::TenantEntry,
        passwords,
    },
    effect::Site,
    ring::{self, StoredRing},
};

/// More steps than any plan for ten HSMs has; a plan that does not end is a fault of ours.
const MOST_STEPS: usize = 200;

/// A rotation under way.
pub(super) struct Work<'a> {
    pub(super) context: &'a Context,
    pub(super) cluster_id: &'a str,
    /// HSMs still taking part.
    pub(super) hsms: Vec<Hsm>,
    /// HSMs that were lost on the way.
    pub(super) pending: Vec<String>,
    /// HSMs that the cluster is to have; more than `hsms` and `pending` while some still join, or while nobody can count them.
    pub(super) places: usize,
    /// The user's own password, if the store names one.
    pub(super) supplied: Option<TenantEntry>,
}

/// Logs in on every HSM and rotates. Afterwards `hsms` are those that have the new password and a proved session.
pub(super) async fn rotate(work: &mut Work<'_>, store: &mut CustomKeyStore) -> Result<(), Stop> {
    let mut stored = read_ring(work, store).await?;
    let mut completed = None;
    for _ in 0..MOST_STEPS {
        let supplied = supplied(work, &stored);
        let ring = kmsuser::without_passwords(&stored.ring).map_err(|error| internal(&error.to_string()))?;
        let hsms: Vec<HsmCredential> = work.hsms.iter().filter_map(Hsm::credential).collect();
        match next_step(&Rotation { ring: &ring, hsms: &hsms, supplied, completed }) {
            RotationStep::LogIn { hsm, with } => work.log_in(hsm.as_str(), with, &stored.ring).await?,
            RotationStep::ChangePassword { hsm, expected, new, op_id: _ } => {
                work.change(hsm.as_str(), expected, new, &stored.ring).await?;
            }
            RotationStep::WriteIntent { epoch } => {
                super::progress(work.context, store, ConnectStep::RotatePassword).await?;
                stored = write_intent(work, stored, epoch).await?;
            }
            RotationStep::NoteSupplied => {
                consume(work, &mut stored);
                stored = write(work, Site::ConnectRingIntent, stored).await?;
            }
            RotationStep::MarkActive { epoch } => {
                stored = mark_active(work, stored, epoch).await?;
                completed = Some(epoch);
            }
            RotationStep::Done { .. } => return Ok(()),
            RotationStep::Fail(code) => {
                return Err(ConnectFailure::new(failure::from_domain(code), explain(code)).into());
            }
        }
    }
    Err(internal("the rotation did not come to an end"))
}

impl Work<'_> {
    async fn log_in(&mut self, hsm_id: &str, with: Credential, ring: &Ring) -> Result<(), Stop> {
        let entry = match with {
            Credential::Ring(epoch) => ring.entry(epoch).map(|entry| entry.password.expose()),
            Credential::Supplied => self.supplied.as_ref().map(|entry| entry.text.as_str()),
        };
        let password = entry.ok_or_else(|| internal("a planned login has no password"))?.to_owned();
        let password = zeroize::Zeroizing::new(password);
        let context = self.context;
        let outcome = self.hsm(hsm_id)?.log_in(context, &password).await;
        self.took_part(hsm_id, outcome)
    }

    async fn change(&mut self, hsm_id: &str, expected: u64, new: u64, ring: &Ring) -> Result<(), Stop> {
        let target = ring.entry(new).ok_or_else(|| internal("a planned change has no entry in the ring"))?;
        let context = self.context;
        let outcome = self.hsm(hsm_id)?.change(context, expected, target).await;
        self.took_part(hsm_id, outcome)
    }

    fn hsm(&mut self, hsm_id: &str) -> Result<&mut Hsm, Stop> {
        self.hsms
            .iter_mut()
            .find(|hsm| hsm.hsm_id == hsm_id)
            .ok_or_else(|| internal("a planned step names an unknown HSM"))
    }

    /// An HSM that was lost is brought forward when it is back (P1.7); any other refusal ends the attempt (CKS-40).
    fn took_part(&mut self, hsm_id: &str, outcome: Result<(), CommandError>) -> Result<(), Stop> {
        match outcome {
            Ok(()) => Ok(()),
            Err(CommandError::Hsm(error)) if reach::is_lost(&error) => {
                self.hsms.retain(|hsm| hsm.hsm_id != hsm_id);
                self.pending.push(hsm_id.to_owned());
                Ok(())
            }
            Err(error) => Err(stop(hsm_id, error)),
        }
    }
}

/// Whether there is a password of the user's, and whether a connect has used it up ("Passwords").
fn supplied(work: &Work<'_>, stored: &StoredRing) -> Supplied {
    match work.supplied.as_ref().map(TenantEntry::as_password) {
        None => Supplied::Nothing,
        Some(password) if stored.is_new(&password) => Supplied::New,
        Some(_) => Supplied::Used,
    }
}

/// P1.1; and the way out when the ring was lost while disconnected: the user's password starts a new one.
async fn read_ring(work: &Work<'_>, store: &CustomKeyStore) -> Result<StoredRing, Stop> {
    if let Some(stored) = passwords::ring(work.context, store, work.cluster_id).await? {
        return Ok(stored);
    }
    let lost = || invalid(&format!("kmsuser's passwords were deleted, and none was supplied: {}", passwords::CURE));
    let entry = work.supplied.as_ref().ok_or_else(lost)?;
    // No HSM has this operation, so the entry is never taken for one of theirs: the login is made with the supplied password.
    let op_id = random_op_id().map_err(|error| internal(&error.to_string()))?;
    let first = Ring::first(Password::from_text(entry.text.clone()), op_id);
    tracing::error!(cluster = work.cluster_id, "the ring of kmsuser's passwords is gone; a new one is started");
    Ok(ring::create(work.context, Site::ConnectRingIntent, work.cluster_id, &first).await.map_err(StoreError::from)?)
}

/// P1.2: from here on both passwords are durable. An intent that an HSM has overtaken is kept as a password that some HSM may have.
async fn write_intent(work: &Work<'_>, mut stored: StoredRing, epoch: u64) -> Result<StoredRing, Stop> {
    let fault = |error: &dyn std::error::Error| internal(&error.to_string());
    if let Some(overtaken) = stored.ring.intent().map(|intent| intent.epoch) {
        stored.ring.commit(overtaken).map_err(|error| fault(&error))?;
    }
    let password = Password::generate().map_err(|error| fault(&error))?;
    let op_id = random_op_id().map_err(|error| fault(&error))?;
    stored.ring.add_intent(password, op_id, epoch.saturating_sub(1)).map_err(|error| fault(&error))?;
    consume(work, &mut stored);
    tracing::info!(cluster = work.cluster_id, epoch, "rotating kmsuser's password");
    write(work, Site::ConnectRingIntent, stored).await
}

async fn write(work: &Work<'_>, site: Site, stored: StoredRing) -> Result<StoredRing, Stop> {
    Ok(ring::write(work.context, site, work.cluster_id, stored).await.map_err(StoreError::from)?)
}

/// The user's password has logged in wherever it was needed; from here on it overrides nothing (INV-26, INV-30).
fn consume(work: &Work<'_>, stored: &mut StoredRing) {
    if let Some(supplied) = &work.supplied {
        stored.consume(&supplied.as_password());
    }
}

/// P1.6: the new epoch is active, and what no member can have any more is forgotten (INV-31).
async fn mark_active(work: &Work<'_>, mut stored: StoredRing, epoch: u64) -> Result<StoredRing, Stop> {
    stored.ring.commit(epoch).map_err(|error| internal(&error.to_string()))?;
    // An HSM that joins may have taken its snapshot of users before this rotation: until every place has shown that it has the new
    // password, the old one may be the only way in (INV-24).
    if work.pending.is_empty() && work.hsms.len() >= work.places {
        stored.ring.prune_below(epoch);
    }
    write(work, Site::ConnectRingCommit, stored).await
}

fn explain(code: operator_domain::connection::ConnectionErrorCode) -> String {
    match failure::from_domain(code) {
        ConnectionErrorCode::InvalidCredentials => {
            "kmsuser has a password that is not the operator's, and no new one was supplied; no login was tried".into()
        }
        ConnectionErrorCode::NetworkErrors => "every HSM was lost on the way".into(),
        other => format!("the rotation of kmsuser's password ended with {}", other.as_str()),
    }
}

fn invalid(message: &str) -> Stop {
    ConnectFailure::new(ConnectionErrorCode::InvalidCredentials, message).into()
}

fn internal(message: &str) -> Stop {
    ConnectFailure::new(ConnectionErrorCode::InternalError, message).into()
}
