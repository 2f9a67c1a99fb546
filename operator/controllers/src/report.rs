//! How a reconcile ends: one log line, one metric, one event, one decision when to come again.
//!
//! [`reconcile`] wraps the work of every controller. A failure says its reason (the same word in event, condition, metric and log) and when
//! another try makes sense; nothing else about errors is decided in the controllers.

mod attempts;

pub use attempts::Attempts;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt};
use operator_api::field_manager;
use tracing::Instrument;

use crate::context::Context;

/// The controllers, for field managers, metric labels and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    /// `CloudHsmCluster`
    CloudHsmCluster,
    /// `CustomKeyStore`
    CustomKeyStore,
    /// `KmsKey`
    KmsKey,
    /// `KmsAlias`
    KmsAlias,
    /// `KmsAccessKey`
    KmsAccessKey,
    /// `KeystoreAccount`
    KeystoreAccount,
    /// Serving and client certificates of the gateway
    Certificate,
}

impl Controller {
    /// Name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudHsmCluster => "cloud_hsm_cluster",
            Self::CustomKeyStore => "custom_key_store",
            Self::KmsKey => "kms_key",
            Self::KmsAlias => "kms_alias",
            Self::KmsAccessKey => "kms_access_key",
            Self::KeystoreAccount => "keystore_account",
            Self::Certificate => "certificate",
        }
    }

    /// Field manager of all its writes.
    #[must_use]
    pub const fn field_manager(self) -> &'static str {
        match self {
            Self::CloudHsmCluster => field_manager::CLOUD_HSM_CLUSTER,
            Self::CustomKeyStore => field_manager::CUSTOM_KEY_STORE,
            Self::KmsKey => field_manager::KMS_KEY,
            Self::KmsAlias => field_manager::KMS_ALIAS,
            Self::KmsAccessKey => field_manager::KMS_ACCESS_KEY,
            Self::KeystoreAccount => field_manager::KEYSTORE_ACCOUNT,
            Self::Certificate => "keystore-operator/certificate",
        }
    }
}

/// When another try makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Only after the object, or something watched for it, has changed; looked at again after the resync time all the same.
    AfterChange,
    /// With growing pauses, at most one minute (`INV-76`).
    Backoff,
    /// After exactly this time.
    After(Duration),
}

/// An error at the edge of a controller. Its `Display` and the chain of its sources must be free of secrets.
pub trait Failure: std::error::Error {
    /// PascalCase word from a closed set: reason of event and condition, label of the metric.
    fn reason(&self) -> &'static str;
    /// When to try again.
    fn retry(&self) -> Retry;
}

/// Runs one reconcile under a span with a trace id, and turns its outcome into log, metric, event and the next action.
///
/// The work itself writes the status, also when it fails; an event is published per failure (kube's recorder folds repeats into a series).
///
/// # Errors
/// None: a failure becomes an [`Action`], so the runtime's own error policy is never asked.
pub async fn reconcile<K, E>(
    context: &Context,
    controller: Controller,
    object: &K,
    work: impl Future<Output = Result<Action, E>>,
) -> Result<Action, Infallible>
where
    K: Resource<DynamicType = ()>,
    E: Failure,
{
    let trace = uuid::Uuid::new_v4().simple().to_string();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let span = tracing::info_span!("reconcile", controller = controller.name(), namespace, name, trace);
    async {
        let started = Instant::now();
        let outcome = work.await;
        context.metrics.seconds.with_label_values(&[controller.name()]).observe(started.elapsed().as_secs_f64());
        Ok(conclude(context, controller, object, outcome).await)
    }
    .instrument(span)
    .await
}

async fn conclude<K, E>(context: &Context, controller: Controller, object: &K, outcome: Result<Action, E>) -> Action
where
    K: Resource<DynamicType = ()>,
    E: Failure,
{
    let key = (controller, object.uid().unwrap_or_default());
    let failure = match outcome {
        Ok(action) => {
            context.attempts.succeeded(&key);
            context.metrics.reconciles.with_label_values(&[controller.name(), "ok"]).inc();
            tracing::debug!("reconciled");
            return action;
        }
        Err(failure) => failure,
    };
    let (reason, message) = (failure.reason(), chain(&failure));
    tracing::warn!(reason, error = message, "failed to reconcile");
    context.metrics.reconciles.with_label_values(&[controller.name(), "error"]).inc();
    context.metrics.failures.with_label_values(&[controller.name(), reason]).inc();
    if context.leader.check().is_ok() {
        event(context, object, EventType::Warning, reason, &message).await;
    }
    match failure.retry() {
        Retry::AfterChange => {
            context.attempts.succeeded(&key);
            Action::requeue(context.settings.resync)
        }
        Retry::Backoff => Action::requeue(context.attempts.failed(key)),
        Retry::After(pause) => Action::requeue(pause),
    }
}

/// Publishes an event on `object`. A lost event is not worth failing for: it is logged.
pub async fn event<K>(context: &Context, object: &K, severity: EventType, reason: &str, note: &str)
where
    K: Resource<DynamicType = ()>,
{
    let note: String = note.chars().take(1000).collect();
    let event = Event {
        type_: severity,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Reconcile".into(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &object.object_ref(&())).await {
        tracing::info!(%error, reason, "failed to publish an event");
    }
}

/// An error and its sources, joined by colons.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to dial the HSM")]
    struct Dial(#[source] std::io::Error);

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = Dial(std::io::Error::other("refused"));
        assert_eq!(chain(&error), "failed to dial the HSM: refused");
    }

    #[test]
    fn no_two_controllers_share_a_field_manager() {
        let all = [
            Controller::CloudHsmCluster,
            Controller::CustomKeyStore,
            Controller::KmsKey,
            Controller::KmsAlias,
            Controller::KmsAccessKey,
            Controller::KeystoreAccount,
            Controller::Certificate,
        ];
        let managers: std::collections::BTreeSet<_> = all.iter().map(|c| c.field_manager()).collect();
        assert_eq!(managers.len(), all.len());
    }
}
