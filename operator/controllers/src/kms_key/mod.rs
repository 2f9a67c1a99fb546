//! The controller of `KmsKey`: brings key material into being exactly once (protocol P2), shows its state, switches it on and off.
//!
//! observe → the core plans one step → do it → observe again, until there is nothing more to do. A crash between any two steps is answered by
//! asking again. Nothing in the status changes with traffic or with the number of HSMs.

mod apply;
mod ask;
mod error;
mod findings;
mod holder;
mod observe;
mod record;
mod silence;
mod status;
mod switch;
mod wake;

pub use error::KeyError;

use std::{convert::Infallible, sync::Arc};

use futures::{Stream, StreamExt, future};
use kube::{
    Api, ResourceExt,
    runtime::{
        Config, Controller as Runtime, Predicate, PredicateConfig, WatchStreamExt, controller::Action,
        events::EventType, predicates, reflector, watcher,
    },
};
use operator_api::{CloudHsmCluster, CustomKeyStore, KmsKey, labels};
use operator_domain::key::{
    creation::{CreationStep, next_step},
    deletion::{ObjectFacts, Release, release},
};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    keystore_account,
    read::ReadError,
    report::{self, Controller},
    write::Object,
};
use ask::Silent;
use observe::Observed;
use status::Outcome;

pub use holder::KeyIds;
pub use silence::Silences;
pub use wake::WokenBy;

/// Reconciles at the same time: after a start all keys come at once.
const CONCURRENCY: u16 = 32;
/// Finalizer, intent, generate, copy, fingerprint, done: twice that is a plan that does not end.
const MOST_STEPS: usize = 12;

/// Runs until `stop`; finishes the reconciles under way.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let (keys, writer) = reflector::store();
    context.keys.fill(keys.clone());
    let key_ids = context.key_ids.clone();
    // Our own status writes are no reason to look again.
    let changed = watcher(Api::<KmsKey>::all(context.client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .inspect(move |seen| {
            if let Ok(key) = seen {
                key_ids.note(key);
            }
        })
        .predicate_filter(predicates::generation.combine(predicates::finalizers), PredicateConfig::default());
    let stores = watch::<CustomKeyStore>(&context, wake::connection);
    let in_service = watch::<CustomKeyStore>(&context, wake::service);
    let clusters = watch::<CloudHsmCluster>(&context, wake::active_hsms);
    let (of_store, unfinished, of_cluster) = (context.keys.clone(), context.keys.clone(), context.keys.clone());
    let woken_by = context.woken_by.clone();
    Runtime::for_stream(changed, keys)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches_stream(stores, move |store| {
            woken_by.note(&store);
            let name = store.name_any();
            of_store.references(&store.namespace().unwrap_or_default(), |key| wake::is_in(key, &name))
        })
        .watches_stream(in_service, move |store| {
            let name = store.name_any();
            let wanted = |key: &KmsKey| wake::is_in(key, &name) && wake::is_unfinished(key);
            unfinished.references(&store.namespace().unwrap_or_default(), wanted)
        })
        .watches_stream(clusters, move |cluster| {
            of_cluster.references(&cluster.namespace().unwrap_or_default(), wake::is_unfinished)
        })
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, |_, error, _| match *error {}, context)
        .for_each(|_| future::ready(()))
        .await;
}

/// The objects of a kind, each time that what `matters` of it changes.
fn watch<K>(
    context: &Context,
    matters: fn(&K) -> Option<u64>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + use<K>
where
    K: Object + Send + 'static,
{
    watcher(Api::<K>::all(context.client.clone()), watcher::Config::default())
        .default_backoff()
        .touched_objects()
        .predicate_filter(matters, PredicateConfig::default())
}

async fn reconcile(key: Arc<KmsKey>, context: Arc<Context>) -> Result<Action, Infallible> {
    report::reconcile(&context, Controller::KmsKey, &*key, Box::pin(work(&key, &context))).await
}

async fn work(cached: &KmsKey, context: &Context) -> Result<Action, KeyError> {
    let api = Api::<KmsKey>::namespaced(context.client.clone(), &cached.namespace().unwrap_or_default());
    // INV-71: material cannot be taken back, so nothing starts from the cache.
    let read = api.get_opt(&cached.name_any()).await.map_err(ReadError::of("the KmsKey"))?;
    let Some(key) = read.filter(|key| key.uid() == cached.uid()) else { return Ok(Action::await_change()) };
    if key.metadata.deletion_timestamp.is_some() {
        return let_go(context, &api, &key).await;
    }
    let account = keystore_account::account_of(context, &key.namespace().unwrap_or_default()).await?;
    let (key, outcome) = create(context, &api, key, &account).await;
    let written = status::write(context, &api, &key, &outcome).await;
    let action = outcome.conclude(context);
    written?;
    action
}

/// Follows the plan as far as it goes now.
async fn create(context: &Context, api: &Api<KmsKey>, key: KmsKey, account: &str) -> (KmsKey, Outcome) {
    let (mut key, mut silent, mut unrepaired) = (key, Silent::new(), None);
    for _ in 0..MOST_STEPS {
        let observed = match observe::observe(context, &key, &mut silent).await {
            Ok(observed) => observed,
            Err(error) => return (key, Outcome::failed(error)),
        };
        let step = next_step(&observed.facts);
        tracing::debug!(?step, "planned");
        let repair = step.is_repair(&observed.facts);
        // What cannot be repaired now is tried again later; the key's state does not wait for it.
        let step = if repair && unrepaired.is_some() { CreationStep::Done } else { step };
        let performed = match step {
            CreationStep::Done => {
                // The record first: what a status acknowledges comes back from it (D5).
                let recorded = record::keep(context, &key, &observed).await;
                let switched = switch::switch(context, &key, &observed).await;
                return (key, Outcome::settled(observed, recorded.and(switched).err().or(unrepaired)));
            }
            CreationStep::Wait => return (key, Outcome::waiting(observed)),
            CreationStep::Stop(problem) => return (key, Outcome::stopped(observed, problem)),
            step => apply::apply(context, api, &key, &observed, step, account).await,
        };
        match performed {
            Ok(changed) => key = changed.unwrap_or(key),
            Err(error) if repair && error.is_of_an_hsm() => unrepaired = Some(KeyError::Unrepaired(Box::new(error))),
            Err(error) => return (key, Outcome::interrupted(observed, error)),
        }
    }
    (key, Outcome::failed(KeyError::Endless))
}

/// The object goes although the policy should have refused it: its material stays in the HSMs, under namespace, name and ARN (D5, INV-12).
async fn let_go(context: &Context, api: &Api<KmsKey>, key: &KmsKey) -> Result<Action, KeyError> {
    if !key.finalizers().iter().any(|finalizer| finalizer == labels::KEY_FINALIZER) {
        return Ok(Action::await_change());
    }
    let facts = ObjectFacts {
        has_key_id: key.spec.key_id.is_some(),
        has_intent: key.spec.material_intent.is_some(),
        has_fingerprint: key.spec.material_fingerprint.is_some(),
    };
    if release(facts) == Release::KeepingMaterial {
        let id = key.spec.key_id.as_deref().unwrap_or_default();
        let note =
            format!("the key material of {id} stays in the HSMs: a KmsKey of this name with spec.keyId {id} adopts it");
        report::event(context, key, EventType::Warning, "MaterialKept", &note).await;
    }
    let writes = context.writes(Controller::KmsKey);
    writes.remove_finalizer(api, key, labels::KEY_FINALIZER).await?;
    Ok(Action::await_change())
}

impl Observed {
    /// Whether the store's keys may be used (spec 2.11).
    fn is_connected(&self) -> bool {
        self.store.as_ref().is_some_and(observe::is_connected)
    }
}
