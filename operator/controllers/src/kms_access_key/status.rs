//! Status of an access key: one write per reconcile, and none when nothing changed.

use jiff::Timestamp;
use kube::Api;
use operator_api::{KmsAccessKey, KmsAccessKeyStatus};

use super::failure::AccessKeyError;
use crate::{
    conditions::{self, Finding},
    context::Context,
    effect::{self, Site},
    report::{Controller, Failure, chain},
    write::WriteError,
};

/// How far a reconcile came.
pub(super) struct Outcome {
    /// The object as last written.
    pub(super) key: KmsAccessKey,
    /// The gateway's copy exists and is this object's.
    pub(super) known_to_gateway: bool,
    /// The tenant's copy was written, now or earlier.
    pub(super) delivered: bool,
    /// Why it went no further.
    pub(super) result: Result<(), AccessKeyError>,
}

impl Outcome {
    pub(super) fn of(key: &KmsAccessKey) -> Self {
        let delivered = key.status.as_ref().is_some_and(|status| status.delivered);
        Self { key: key.clone(), known_to_gateway: false, delivered, result: Ok(()) }
    }

    fn findings(&self) -> Vec<Finding> {
        let Err(error) = &self.result else {
            return vec![Finding::new("Accepted", true, "Accepted", ""), Finding::new("Ready", true, "Delivered", "")];
        };
        let ready = Finding::new("Ready", false, error.reason(), chain(error));
        let accepted = if error.is_refusal() {
            Finding::new("Accepted", false, error.reason(), chain(error))
        } else {
            Finding { kind: "Accepted", holds: None, reason: "Checking", message: String::new() }
        };
        vec![accepted, ready]
    }

    fn status(&self, now: Timestamp) -> KmsAccessKeyStatus {
        let (key, present) = (&self.key, self.key.status.clone().unwrap_or_default());
        KmsAccessKeyStatus {
            access_key_id: self.known_to_gateway.then(|| key.spec.access_key_id.clone()).flatten(),
            delivered: self.delivered,
            creation_date: key.metadata.creation_timestamp.clone(),
            observed_generation: key.metadata.generation,
            conditions: conditions::merge(&present.conditions, self.findings(), key.metadata.generation, now),
        }
    }
}

/// Writes the status if it differs from the present one.
pub(super) async fn write(api: &Api<KmsAccessKey>, context: &Context, outcome: &Outcome) -> Result<(), WriteError> {
    let status = outcome.status(Timestamp::now());
    if outcome.key.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let writes = context.writes(Controller::KmsAccessKey);
    effect::at(Site::AccessKeyStatus, writes.apply_status(api, &outcome.key, &status)).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(result: Result<(), AccessKeyError>) -> Outcome {
        let key = KmsAccessKey::new("app", operator_api::KmsAccessKeySpec::default());
        Outcome { key, known_to_gateway: false, delivered: false, result }
    }

    fn condition(outcome: &Outcome, kind: &str) -> (String, String) {
        let status = outcome.status(Timestamp::UNIX_EPOCH);
        let found = status.conditions.into_iter().find(|condition| condition.type_ == kind).unwrap();
        (found.status, found.reason)
    }

    #[test]
    fn a_missing_binding_is_reported_with_what_to_apply() {
        let refused = AccessKeyError::MissingTenantBinding {
            secret: "app-credentials".into(),
            controllers: "keystore-system".into(),
        };
        let outcome = outcome(Err(refused));
        assert_eq!(condition(&outcome, "Accepted"), ("False".into(), "MissingTenantBinding".into()));
        let ready = &outcome.status(Timestamp::UNIX_EPOCH).conditions[1];
        assert!(
            ready.message.contains("app-credentials") && ready.message.contains("keystore-system"),
            "{}",
            ready.message
        );
    }

    #[test]
    fn an_id_is_shown_only_when_requests_signed_with_it_are_accepted() {
        let mut outcome = outcome(Ok(()));
        outcome.key.spec.access_key_id = Some("AKIAABCDEFGH23456789".into());
        assert_eq!(outcome.status(Timestamp::UNIX_EPOCH).access_key_id, None);
        outcome.known_to_gateway = true;
        assert_eq!(outcome.status(Timestamp::UNIX_EPOCH).access_key_id.as_deref(), Some("AKIAABCDEFGH23456789"));
    }

    #[test]
    fn an_unchanged_outcome_gives_an_unchanged_status() {
        let mut outcome = outcome(Ok(()));
        let first = outcome.status(Timestamp::from_second(10).unwrap());
        outcome.key.status = Some(first.clone());
        assert_eq!(outcome.status(Timestamp::from_second(20).unwrap()), first);
    }
}
