//! The moves between connection states: what is written when, and the work in between.

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, events::EventType},
};
use operator_api::{ConnectionErrorCode, ConnectionState as Shown, CustomKeyStore, CustomKeyStoreStatus};
use operator_domain::connection::{ConnectStep, ConnectionState, Event, drain::Drain, step};

use super::{
    connect::{self, Established, Stop},
    disconnect,
    error::StoreError,
    failure::ConnectFailure,
    observe::{self, Observed},
    state,
    status::{self, Findings},
    validate,
};
use crate::{context::Context, report};

/// Pause before HSMs are asked again that did not answer while DISCONNECTING, and the gateway's Leases are read again.
const DRAINING: Duration = Duration::from_secs(1);

/// DISCONNECTED, and the owner wants a connection: the fast checks, then CONNECTING.
pub(super) async fn connect(
    context: &Context,
    observed: Observed,
    mut findings: Findings,
) -> Result<Action, StoreError> {
    if findings.not_accepted.is_none() {
        findings.not_accepted = validate::connect(observed.cluster.as_ref()).err();
    }
    if findings.not_accepted.is_none() {
        let supplied = connect::supplied_password(context, &observed.store).await?;
        findings.not_accepted = supplied.err().map(Into::into);
    }
    let now = Timestamp::now();
    let next = step(&ConnectionState::Disconnected, Event::Connect, state::instant(now));
    if findings.not_accepted.is_some() || next.is_err() {
        // What HSMs missed of the last connection they are told all the same (D12).
        findings.unconfirmed = super::still_unconfirmed(context, &observed.store).await?;
        // INV-34: nothing else happens but that it is said. The cluster is watched; Secrets and claims are not.
        let status = status::unmoved(context, &observed.store);
        status::write(context, &observed.store, status, &findings).await?;
        return Ok(Action::requeue(super::AGAIN));
    }
    let store = status::write(context, &observed.store, status::connecting(&observed.store, now), &findings).await?;
    Box::pin(connecting(context, Observed { store, cluster: observed.cluster })).await
}

/// CONNECTING: the steps, until they end one way or another.
pub(super) async fn connecting(context: &Context, observed: Observed) -> Result<Action, StoreError> {
    let now = state::stored(&observed.store).unwrap_or_default();
    let ticked = step(&now, Event::Tick, state::instant(Timestamp::now()));
    if ticked.is_ok_and(|step| step.state.error_code().is_some()) {
        let late = ConnectFailure::new(ConnectionErrorCode::InternalError, "the connect took longer than 20 minutes");
        return fail(context, observed.store, &late).await;
    }
    match Box::pin(connect::run(context, observed.store.clone())).await {
        Ok(established) => succeed(context, established).await,
        Err(Stop::Failed(failure)) => fail(context, observed.store, &failure).await,
        Err(Stop::Changed) => Ok(Action::requeue(Duration::ZERO)),
        Err(Stop::Later(error)) => Err(error),
    }
}

async fn succeed(context: &Context, established: Established) -> Result<Action, StoreError> {
    let Established { store, pending } = established;
    let findings = Findings { credentials_pending: pending, ..Findings::default() };
    let connected = |store: &CustomKeyStore| status::moved(store, Shown::Connected, Timestamp::now());
    let Some(store) = write_while_connecting(context, store, connected, Event::ConnectSucceeded, &findings).await?
    else {
        return Ok(Action::requeue(Duration::ZERO));
    };
    report::event(context, &store, EventType::Normal, "Connected", "the key store is connected to its cluster").await;
    if findings.credentials_pending.is_empty() {
        Ok(Action::requeue(context.settings.resync))
    } else {
        Err(StoreError::Pending(findings.credentials_pending.join(", ")))
    }
}

async fn fail(context: &Context, store: CustomKeyStore, failure: &ConnectFailure) -> Result<Action, StoreError> {
    let read = observe::store(context, &store).await?;
    let Some(store) = read else { return Ok(Action::await_change()) };
    let mut findings = Findings::default();
    let shown = store.status.as_ref().and_then(|status| status.connection_step.as_deref());
    if ConnectStep::may_have_registered(shown) || status::is_unconfirmed(&store) {
        // FAILED must not leave delegates (D12). What an HSM that is away may hold is said, and dropped when it answers.
        findings.unconfirmed = Box::pin(disconnect::drain(context, &store)).await?.unconfirmed();
    }
    let failed = |store: &CustomKeyStore| status::failed(store, failure, Timestamp::now());
    let written = write_while_connecting(context, store, failed, connect::event(failure), &findings).await?;
    let Some(store) = written else { return Ok(Action::requeue(Duration::ZERO)) };
    report::event(context, &store, EventType::Warning, failure.code.as_str(), &failure.message).await;
    Ok(Action::requeue(if findings.unconfirmed.is_some() { super::AGAIN } else { context.settings.resync }))
}

/// Writes the end of an attempt on the newest version of the store, as long as that is still CONNECTING in the same generation and the state
/// machine lets the event through; otherwise whoever changed it decides.
async fn write_while_connecting(
    context: &Context,
    store: CustomKeyStore,
    status: impl Fn(&CustomKeyStore) -> CustomKeyStoreStatus,
    event: Event,
    findings: &Findings,
) -> Result<Option<CustomKeyStore>, StoreError> {
    let (generation, mut store) = (status::generation(&store), store);
    loop {
        let now = state::stored(&store).unwrap_or_default();
        let moves = step(&now, event, state::instant(Timestamp::now())).is_ok_and(|step| step.state != now);
        if status::generation(&store) != generation || !moves {
            return Ok(None);
        }
        match status::write(context, &store, status(&store), findings).await {
            Ok(written) => return Ok(Some(written)),
            Err(StoreError::Write(error)) if error.is_conflict() => {
                let Some(read) = observe::store(context, &store).await? else { return Ok(None) };
                store = read;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The owner wants a disconnect: DISCONNECTING is shown before anything is undone.
pub(super) async fn disconnect(
    context: &Context,
    observed: Observed,
    findings: Findings,
) -> Result<Action, StoreError> {
    let status = status::disconnecting(&observed.store, Timestamp::now());
    let store = status::write(context, &observed.store, status, &findings).await?;
    disconnecting(context, store, findings).await
}

/// DISCONNECTING: until every HSM has dropped the generation, or nobody who lives can use it at those that cannot be told (D12).
pub(super) async fn disconnecting(
    context: &Context,
    store: CustomKeyStore,
    mut findings: Findings,
) -> Result<Action, StoreError> {
    let draining = disconnect::drain(context, &store).await?;
    if draining.verdict == Drain::Wait {
        tracing::info!(store = store.name_any(), %draining, "waiting for gateway replicas to let go of a connection");
        return Ok(Action::requeue(DRAINING));
    }
    findings.unconfirmed = draining.unconfirmed();
    let status = status::moved(&store, Shown::Disconnected, Timestamp::now());
    let store = status::write(context, &store, status, &findings).await?;
    report::event(context, &store, EventType::Normal, "Disconnected", "the key store is disconnected from its cluster")
        .await;
    // Whether to connect again, or to let a deleted store go, is the next reconcile's question.
    Ok(Action::requeue(Duration::ZERO))
}
