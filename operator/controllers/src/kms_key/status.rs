//! Status of a key: what is shown, by the table of spec 2.11, and why a key is not there yet. One write per reconcile, none when nothing changed.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, runtime::controller::Action};
use operator_api::{KmsKey, KmsKeyStatus, kms_key::KeyState, reason::is_refused_copy};
use operator_domain::key::{KeyState as Core, creation::Problem};

use super::{error::KeyError, findings::Findings, observe::Observed, switch};
use crate::{
    conditions::{self, Finding},
    context::Context,
    effect::{self, Site},
    report::Controller,
};

/// How soon a refused key is looked at again if nothing that is watched changes.
const REFUSED: Duration = Duration::from_secs(60);

/// How a reconcile of a key ended.
pub(super) struct Outcome {
    observed: Option<Observed>,
    problem: Option<Problem>,
    error: Option<KeyError>,
}

impl Outcome {
    /// Nothing could be observed.
    pub(super) fn failed(error: KeyError) -> Self {
        Self { observed: None, problem: None, error: Some(error) }
    }

    /// Material and object agree. With an error the state could not be set everywhere, unless it is [`KeyError::Unrepaired`].
    pub(super) fn settled(observed: Observed, error: Option<KeyError>) -> Self {
        Self { observed: Some(observed), problem: None, error }
    }

    /// Too few HSMs answer.
    pub(super) fn waiting(observed: Observed) -> Self {
        Self { observed: Some(observed), problem: None, error: Some(KeyError::Waiting) }
    }

    /// The owner has to do something.
    pub(super) fn stopped(observed: Observed, problem: Problem) -> Self {
        Self { observed: Some(observed), problem: Some(problem), error: None }
    }

    /// A step failed.
    pub(super) fn interrupted(observed: Observed, error: KeyError) -> Self {
        Self { observed: Some(observed), problem: None, error: Some(error) }
    }

    /// When to come again. What a key waits for is watched, so its refusal is a condition and no failure; a problem that only a person can solve
    /// is said again as an event, at most once a minute (INV-76).
    pub(super) fn conclude(self, context: &Context) -> Result<Action, KeyError> {
        let asleep = self.observed.as_ref().is_some_and(|observed| !observed.is_connected());
        match (self.error, self.problem) {
            (Some(KeyError::Waiting), _) if asleep => Ok(Action::requeue(context.settings.resync)),
            (Some(error), _) => Err(error),
            (None, Some(Problem::Refused(_))) => Ok(Action::requeue(REFUSED)),
            (None, Some(problem)) => Err(KeyError::Stopped(problem)),
            (None, None) => Ok(Action::requeue(context.settings.resync)),
        }
    }

    fn findings(&self, key: &KmsKey, shown: Option<KeyState>) -> Vec<Finding> {
        let acknowledged = key.spec.material_fingerprint.is_some();
        Findings { problem: self.problem.as_ref(), error: self.error.as_ref(), shown, acknowledged }.conditions()
    }

    /// The state to show; absent until the material is durable (D8).
    fn shown(&self, key: &KmsKey) -> Option<KeyState> {
        key.spec.material_fingerprint.as_ref()?;
        let present = key.status.as_ref().and_then(|status| status.key_state);
        match (&self.problem, &self.observed, &self.error) {
            (Some(Problem::IdInUse(_) | Problem::OriginalGone), ..) => None,
            (Some(Problem::MaterialMissing | Problem::Conflict), ..) => Some(KeyState::Unavailable),
            // INV-11: an HSM that cannot take its copy holds up no state; it refuses the key by lacking it.
            (_, Some(observed), None | Some(KeyError::Unrepaired(_))) => {
                Some(shown(switch::base(key).shown(observed.is_connected())))
            }
            // INV-35, INV-49: a state that the HSMs do not have yet is not shown, but a disconnected store is.
            (_, Some(observed), Some(_)) if !observed.is_connected() => Some(shown(switch::base(key).shown(false))),
            (_, _, Some(_)) | (_, None, None) => present,
        }
    }

    fn status(&self, key: &KmsKey, now: Timestamp) -> KmsKeyStatus {
        let present = key.status.clone().unwrap_or_default();
        let shown = self.shown(key);
        let store = self.observed.as_ref().and_then(|observed| observed.store.as_ref());
        let copied = matches!(self.problem, Some(Problem::IdInUse(_) | Problem::OriginalGone));
        let durable = key.spec.material_fingerprint.is_some() && !copied;
        let record = self.observed.as_ref().and_then(|observed| observed.records.first()).filter(|_| durable);
        KmsKeyStatus {
            key_state: shown,
            arn: present.arn.or_else(|| record.map(|record| record.label.clone())),
            creation_date: key.metadata.creation_timestamp.clone(),
            deletion_date: present.deletion_date,
            custom_key_store_id: present
                .custom_key_store_id
                .or_else(|| store.and_then(|store| store.spec.custom_key_store_id.clone())),
            cloud_hsm_cluster_id: present
                .cloud_hsm_cluster_id
                .or_else(|| store.and_then(|store| store.status.as_ref()?.cloud_hsm_cluster_id.clone())),
            backing_key_handle: present.backing_key_handle.or_else(|| record.map(|record| record.handle.to_string())),
            observed_generation: key.metadata.generation,
            conditions: self.conditions(key, shown, &present.conditions, now),
        }
    }

    /// A look that failed takes from no copy that it is one: only by that is it kept from its original's place when that is gone.
    fn conditions(
        &self,
        key: &KmsKey,
        shown: Option<KeyState>,
        present: &[Condition],
        now: Timestamp,
    ) -> Vec<Condition> {
        if self.error.is_some() && is_refused_copy(present) {
            return present.to_vec();
        }
        conditions::merge(present, self.findings(key, shown), key.metadata.generation, now)
    }
}

/// Writes the status if it differs from the present one.
pub(super) async fn write(
    context: &Context,
    api: &Api<KmsKey>,
    key: &KmsKey,
    outcome: &Outcome,
) -> Result<(), KeyError> {
    let status = outcome.status(key, Timestamp::now());
    if key.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let writes = context.writes(Controller::KmsKey);
    effect::at(Site::KeyStatus, writes.apply_status_exactly(api, key, &status)).await?;
    Ok(())
}

fn shown(state: Core) -> KeyState {
    state.as_str().parse().unwrap_or(KeyState::Unavailable)
}

#[cfg(test)]
mod tests;
