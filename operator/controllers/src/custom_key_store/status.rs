//! The status of a store: the memory of its connection state machine, written only on exactly the version that was read (P5).

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{Api, ResourceExt};
use operator_api::{
    ConnectionState, CustomKeyStore, CustomKeyStoreStatus, KmsKey, connection_status::LastConnectionError,
};

use operator_domain::connection::wish::decide;

use super::{
    disconnect::Unconfirmed,
    error::StoreError,
    failure::{ConnectFailure, cure},
    passwords, state,
    validate::NotAccepted,
};
use crate::{
    conditions::{self, Finding},
    context::Context,
    effect::{self, Site},
    report::Controller,
};

/// Longest message that fits into `lastConnectionError` (characters).
const LONGEST_MESSAGE: usize = 1000;

/// Type of the condition that HSMs were not told of the end of a connection (D12).
const UNCONFIRMED: &str = "Unconfirmed";

/// What a reconcile found that is no connection state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Why the store, or the wanted connect, is not accepted.
    pub(super) not_accepted: Option<NotAccepted>,
    /// What the end of a connection could not make certain (D12).
    pub(super) unconfirmed: Option<Unconfirmed>,
    /// HSMs that are not in service for the store: unreachable, or behind with `kmsuser`'s password (P1.7).
    pub(super) credentials_pending: Vec<String>,
    /// The Secret with `kmsuser`'s passwords is gone, and nobody has a copy (P1).
    pub(super) ring_gone: bool,
    /// Why the store's deletion waits.
    pub(super) deletion_waits: Option<String>,
}

/// The generation of the store's present or last connection; 0 before the first.
pub(super) fn generation(store: &CustomKeyStore) -> u64 {
    let generation = store.status.as_ref().and_then(|status| status.connection_generation).unwrap_or(0);
    u64::try_from(generation).unwrap_or(0)
}

/// The present status moved to `state`; nothing else is touched. Leaving FAILED takes the error code away (D4).
pub(super) fn moved(store: &CustomKeyStore, state: ConnectionState, now: Timestamp) -> CustomKeyStoreStatus {
    let mut status = store.status.clone().unwrap_or_default();
    if status.connection_state != Some(state) {
        status.connection_state_transition_time = Some(Time(now));
    }
    status.connection_state = Some(state);
    status.connection_error_code = None;
    status.connection_step = None;
    status
}

/// DISCONNECTED → CONNECTING under a new generation. It is above every earlier one even when the status was lost with a restored object: HSMs
/// refuse a generation that they have dropped for ever.
pub(super) fn connecting(store: &CustomKeyStore, now: Timestamp) -> CustomKeyStoreStatus {
    let mut status = moved(store, ConnectionState::Connecting, now);
    let next = status.connection_generation.unwrap_or(0).saturating_add(1).max(now.as_second());
    status.connection_generation = Some(next);
    status.observed_connection_attempt.clone_from(&store.spec.connection_attempt);
    status
}

/// CONNECTING → FAILED.
pub(super) fn failed(store: &CustomKeyStore, failure: &ConnectFailure, now: Timestamp) -> CustomKeyStoreStatus {
    let mut status = moved(store, ConnectionState::Failed, now);
    status.connection_error_code = Some(failure.code);
    let message = failure.message.chars().take(LONGEST_MESSAGE).collect();
    status.last_connection_error = Some(LastConnectionError { code: failure.code, message, time: Time(now) });
    status
}

/// Any state → DISCONNECTING. The attempt that asks for it has been acted on: one change of it causes one disconnect.
pub(super) fn disconnecting(store: &CustomKeyStore, now: Timestamp) -> CustomKeyStoreStatus {
    let observed =
        decide(&state::stored(store).unwrap_or_default(), &state::wish(store)).observed_attempt.map(str::to_owned);
    CustomKeyStoreStatus { observed_connection_attempt: observed, ..moved(store, ConnectionState::Disconnecting, now) }
}

/// The present status, with the number of keys brought up to date.
pub(super) fn unmoved(context: &Context, store: &CustomKeyStore) -> CustomKeyStoreStatus {
    let present = store.status.clone().unwrap_or_default();
    let name = store.name_any();
    let in_store = |key: &KmsKey| {
        key.spec.key_id.is_some() && key.spec.custom_key_store_ref.as_ref().is_some_and(|it| it.name == name)
    };
    let count = context.keys.count(&store.namespace().unwrap_or_default(), in_store);
    let key_count = count.and_then(|count| i64::try_from(count).ok()).or(present.key_count);
    CustomKeyStoreStatus { key_count, ..present }
}

/// Whether the last connection, or attempt, left HSMs that may not have dropped its generation.
pub(super) fn is_unconfirmed(store: &CustomKeyStore) -> bool {
    store.status.as_ref().is_some_and(|status| conditions::holds(&status.conditions, UNCONFIRMED))
}

/// Completes `status` with what was found and writes it, unless it is the present one.
pub(super) async fn write(
    context: &Context,
    store: &CustomKeyStore,
    mut status: CustomKeyStoreStatus,
    findings: &Findings,
) -> Result<CustomKeyStore, StoreError> {
    let now = Timestamp::now();
    status.creation_date.clone_from(&store.metadata.creation_timestamp);
    status.observed_generation = store.metadata.generation;
    status.connection_state.get_or_insert(ConnectionState::Disconnected);
    status.conditions = conditions_after(store, &status, findings, now);
    if store.status.as_ref() == Some(&status) {
        return Ok(store.clone());
    }
    let api = Api::<CustomKeyStore>::namespaced(context.client.clone(), &store.namespace().unwrap_or_default());
    let writes = context.writes(Controller::CustomKeyStore);
    Ok(effect::at(Site::StoreStatus, writes.apply_status_exactly(&api, store, &status)).await?)
}

/// The present conditions brought to what was found. An attempt to connect tells only the HSMs that it reaches, so while it lasts it stays said
/// which ones were not told of the end of the connection before it (D12).
fn conditions_after(
    store: &CustomKeyStore,
    status: &CustomKeyStoreStatus,
    findings: &Findings,
    now: Timestamp,
) -> Vec<Condition> {
    let present = store.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let mut after = conditions::merge(present, conditions_of(status, findings), store.metadata.generation, now);
    if status.connection_state == Some(ConnectionState::Connecting) && findings.unconfirmed.is_none() {
        after.extend(present.iter().find(|condition| condition.type_ == UNCONFIRMED).cloned());
    }
    after
}

fn conditions_of(status: &CustomKeyStoreStatus, findings: &Findings) -> Vec<Finding> {
    let accepted = match &findings.not_accepted {
        Some(refused) => Finding::new("Accepted", false, refused.reason(), refused.to_string()),
        None => Finding::new("Accepted", true, "Accepted", ""),
    };
    let state = status.connection_state.unwrap_or(ConnectionState::Disconnected);
    let mut all = vec![accepted, ready(state, status, findings), stalled(state, status)];
    if let Some(unconfirmed) = &findings.unconfirmed {
        all.push(Finding::new(UNCONFIRMED, true, unconfirmed.reason(), unconfirmed.to_string()));
    }
    if !findings.credentials_pending.is_empty() {
        let message = format!("not in service for this store: {}", findings.credentials_pending.join(", "));
        all.push(Finding::new("CredentialsPending", true, "HsmBehindOrUnreachable", message));
    }
    if findings.ring_gone {
        let message =
            format!("kmsuser's passwords were deleted: the HSMs serve until they restart. Cure: {}", passwords::CURE);
        all.push(Finding::new("RingGone", true, "SecretDeleted", message));
    }
    if let Some(message) = &findings.deletion_waits {
        all.push(Finding::new("DeletionWaits", true, "CustomKeyStoreHasCMKsException", message.clone()));
    }
    all
}

fn ready(state: ConnectionState, status: &CustomKeyStoreStatus, findings: &Findings) -> Finding {
    match (state, &findings.not_accepted, status.connection_error_code) {
        (_, Some(copied @ NotAccepted::IdInUse(_)), _) => Finding::new("Ready", false, copied.reason(), ""),
        (ConnectionState::Connected, _, _) => Finding::new("Ready", true, "Connected", ""),
        (ConnectionState::Connecting, _, _) => Finding::new("Ready", false, "Connecting", ""),
        (ConnectionState::Disconnecting, _, _) => Finding::new("Ready", false, "Disconnecting", ""),
        (ConnectionState::Failed, _, code) => {
            Finding::new("Ready", false, code.map_or("Failed", |code| code.as_str()), "")
        }
        (ConnectionState::Disconnected, Some(refusal), _) => Finding::new("Ready", false, refusal.reason(), ""),
        (ConnectionState::Disconnected, None, _) => {
            Finding::new("Ready", false, "Disconnected", "to use its keys connect it: spec.connection: CONNECTED")
        }
    }
}

fn stalled(state: ConnectionState, status: &CustomKeyStoreStatus) -> Finding {
    match (state, status.connection_error_code) {
        (ConnectionState::Failed, Some(code)) => {
            let observed = status.last_connection_error.as_ref().map(|last| last.message.as_str()).unwrap_or_default();
            let next = "set connection: DISCONNECTED, then CONNECTED (or change connectionAttempt)";
            Finding::new("Stalled", true, code.as_str(), format!("{observed}. Cure: {}; then {next}", cure(code)))
        }
        _ => Finding::new("Stalled", false, "NotStalled", ""),
    }
}

#[cfg(test)]
mod tests;
