//! The controller of `CustomKeyStore`: accepts it, connects and disconnects it as AWS documents, keeps it connected (spec section 2).
//!
//! observe → accept (claims, identity) → what does the owner want next? → the work of that → one status per step. The state machine itself is
//! `operator_domain::connection`; here is what its words mean on the HSMs and in the API server.

mod accept;
mod connect;
mod connections;
mod delegates;
mod dial;
mod disconnect;
mod error;
mod failure;
mod gateways;
mod identity;
mod keep;
mod kmsuser;
mod left_claims;
mod members;
mod observe;
mod passwords;
mod remove;
mod state;
mod status;
mod transition;
mod validate;

pub use connections::{Connections, LoggedIn};
pub use error::StoreError;
pub use gateways::Gateways;
pub use members::{Member, members};
pub(crate) use members::{are_all_listed, places};

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::{StreamExt, future, stream};
use kube::{
    Api, ResourceExt,
    runtime::{
        Controller as Runtime, Predicate, PredicateConfig, WatchStreamExt,
        controller::Action,
        predicates,
        reflector::{self, ObjectRef},
        watcher,
    },
};
use operator_api::{CloudHsmCluster, CustomKeyStore, KmsKey, labels};
use operator_domain::connection::{
    ConnectionState, Event,
    wish::{Todo, decide},
};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    keystore_account,
    ownership::{self, Owner},
    report::{self, Controller},
};
use observe::Observed;
use status::Findings;
use validate::NotAccepted;

/// How soon a store is looked at again that waits for something that is not watched: a Secret, a claim, an HSM that is away (INV-76).
const AGAIN: Duration = Duration::from_secs(60);

/// Runs until `shutdown`; finishes the reconciles under way.
pub async fn run(context: Arc<Context>, shutdown: CancellationToken) {
    let (stores, writer) = reflector::store();
    context.stores.fill(stores.clone());
    // Our own status writes are no reason to look again.
    let changed = watcher(Api::<CustomKeyStore>::all(context.client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation.combine(predicates::finalizers), PredicateConfig::default());
    let (of_cluster, clusters) = (context.stores.clone(), Api::<CloudHsmCluster>::all(context.client.clone()));
    // Keys come and go, which the count in the status follows; their own status does not matter here.
    let keys = watcher(Api::<KmsKey>::all(context.client.clone()), watcher::Config::default())
        .default_backoff()
        .touched_objects()
        .predicate_filter(
            predicates::generation.combine(predicates::finalizers).combine(going),
            PredicateConfig::default(),
        );
    Runtime::for_stream(changed, stores)
        .watches(clusters, watcher::Config::default(), move |cluster: CloudHsmCluster| {
            let name = cluster.name_any();
            let uses = |store: &CustomKeyStore| store.spec.cloud_hsm_cluster_ref.name == name;
            of_cluster.references(&cluster.namespace().unwrap_or_default(), uses)
        })
        .watches_stream(keys, |key: KmsKey| {
            let store = key.spec.custom_key_store_ref.as_ref().map(|reference| ObjectRef::new(&reference.name));
            store.map(|store| store.within(&key.namespace().unwrap_or_default()))
        })
        .reconcile_on(endings(&context))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, |_, error, _| match *error {}, context)
        .for_each(|_| future::ready(()))
        .await;
}

/// The last event of an object that goes can look like the one before; then only the version differs, and a deleted store waits for it.
fn going(key: &KmsKey) -> Option<u64> {
    key.metadata.deletion_timestamp.as_ref()?;
    key.resource_version()?.parse().ok()
}

/// Stores of which a session has ended: an HSM restarted, or the network broke.
fn endings(context: &Context) -> impl futures::Stream<Item = ObjectRef<CustomKeyStore>> + Send + 'static {
    match context.connections.endings() {
        Some(endings) => stream::unfold(endings, |mut endings| async {
            let ended = endings.recv().await?;
            Some((ended, endings))
        })
        .boxed(),
        None => stream::pending().boxed(),
    }
}

async fn reconcile(store: Arc<CustomKeyStore>, context: Arc<Context>) -> Result<Action, Infallible> {
    let work = Box::pin(work(&store, &context));
    report::reconcile(&context, Controller::CustomKeyStore, &*store, work).await
}

async fn work(cached: &CustomKeyStore, context: &Context) -> Result<Action, StoreError> {
    // INV-71: a connect cannot be taken back, so everything starts from quorum reads.
    let Some(store) = observe::store(context, cached).await? else { return Ok(Action::await_change()) };
    let deleted = store.metadata.deletion_timestamp.is_some();
    if deleted && !store.finalizers().iter().any(|finalizer| finalizer == labels::STORE_FINALIZER) {
        return Ok(Action::await_change());
    }
    if let Some(owner) = ownership::owner(context, &store).await? {
        return stand_aside(context, store, &owner).await;
    }
    let cluster = observe::cluster(context, &store).await?;
    let mut observed = Observed { store, cluster };
    let mut findings = Findings::default();
    if !deleted {
        keystore_account::account_of(context, &observed.store.namespace().unwrap_or_default()).await?;
        let api =
            Api::<CustomKeyStore>::namespaced(context.client.clone(), &observed.store.namespace().unwrap_or_default());
        let writes = context.writes(Controller::CustomKeyStore);
        let with_finalizer = writes.add_finalizer(&api, &observed.store, labels::STORE_FINALIZER);
        observed.store = with_finalizer.await?;
        findings.not_accepted = accept::accept(context, &mut observed).await?;
    }
    Box::pin(advance(context, observed, findings)).await
}

/// The store was copied from the one that its id belongs to: connect, disconnect and the release of the HSMs' claim all go by the id, and would be
/// done to that one (D2, INV-41). So nothing is done, also when the copy goes, but that it is said.
async fn stand_aside(
    context: &Context,
    store: CustomKeyStore,
    owner: &Owner<CustomKeyStore>,
) -> Result<Action, StoreError> {
    if store.metadata.deletion_timestamp.is_some() {
        remove::remove(context, &store).await?;
        return Ok(Action::await_change());
    }
    let refused = NotAccepted::IdInUse(ownership::refusal(&store, owner));
    let findings = Findings { not_accepted: Some(refused), ..Findings::default() };
    let status = status::unmoved(context, &store);
    status::write(context, &store, status, &findings).await?;
    Ok(Action::requeue(AGAIN))
}

/// One move of the connection, as the core decides it.
async fn advance(context: &Context, observed: Observed, findings: Findings) -> Result<Action, StoreError> {
    let now = state::stored(&observed.store).unwrap_or_default();
    let todo = decide(&now, &state::wish(&observed.store)).todo;
    match (todo, now) {
        (Todo::Raise(Event::Connect), _) => Box::pin(transition::connect(context, observed, findings)).await,
        (Todo::Raise(_), _) => transition::disconnect(context, observed, findings).await,
        (Todo::Continue, ConnectionState::Connecting { .. }) => {
            Box::pin(transition::connecting(context, observed)).await
        }
        (Todo::Continue, _) => transition::disconnecting(context, observed.store, findings).await,
        (Todo::Rest, ConnectionState::Disconnected) => at_rest(context, observed.store, findings).await,
        (Todo::Rest, ConnectionState::Connected) => connected(context, observed, findings).await,
        (Todo::Rest, _) => failed(context, observed.store, findings).await,
    }
}

async fn connected(context: &Context, observed: Observed, mut findings: Findings) -> Result<Action, StoreError> {
    let kept = keep::keep(context, &observed.store, observed.cluster.as_ref()).await;
    if let Ok(kept) = &kept {
        findings.credentials_pending.clone_from(&kept.pending);
        findings.ring_gone = kept.ring_gone;
    }
    let status = status::unmoved(context, &observed.store);
    status::write(context, &observed.store, status, &findings).await?;
    match kept? {
        kept if kept.pending.is_empty() => Ok(Action::requeue(context.settings.resync)),
        kept => Err(StoreError::Pending(kept.pending.join(", "))),
    }
}

/// FAILED: finish what an HSM that was away missed (D12). Everything else waits for the owner (INV-32).
async fn failed(context: &Context, store: CustomKeyStore, mut findings: Findings) -> Result<Action, StoreError> {
    findings.unconfirmed = still_unconfirmed(context, &store).await?;
    let status = status::unmoved(context, &store);
    status::write(context, &store, status, &findings).await?;
    Ok(Action::requeue(if findings.unconfirmed.is_some() { AGAIN } else { context.settings.resync }))
}

/// Tells those HSMs again that could not be told when the last connection ended. A replica that is back is not waited for again: the state says
/// that the connection has ended, and the HSMs are told as soon as they answer.
async fn still_unconfirmed(
    context: &Context,
    store: &CustomKeyStore,
) -> Result<Option<disconnect::Unconfirmed>, StoreError> {
    if status::is_unconfirmed(store) { Ok(disconnect::drain(context, store).await?.unconfirmed()) } else { Ok(None) }
}

/// DISCONNECTED: finish what an HSM that was away missed, and let a deleted store go.
async fn at_rest(context: &Context, store: CustomKeyStore, mut findings: Findings) -> Result<Action, StoreError> {
    findings.unconfirmed = still_unconfirmed(context, &store).await?;
    if store.metadata.deletion_timestamp.is_some() {
        findings.deletion_waits = remove::obstacle(context, &store).await?;
        if findings.deletion_waits.is_none() {
            remove::remove(context, &store).await?;
            return Ok(Action::await_change());
        }
    }
    let waiting = findings.unconfirmed.is_some() || findings.deletion_waits.is_some();
    let refused = findings.not_accepted.is_some();
    let status = status::unmoved(context, &store);
    status::write(context, &store, status, &findings).await?;
    Ok(Action::requeue(if waiting || refused { AGAIN } else { context.settings.resync }))
}
