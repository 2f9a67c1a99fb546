//! The controller of `KmsAlias`: one name, one key, unique in the namespace (KEY-71…73).
//!
//! Nothing it does is irreversible, so it works on the watch's cache: of two aliases with one name the older is accepted, and a stale cache only
//! delays that (INV-72).

mod plan;
mod status;

use std::{convert::Infallible, sync::Arc};

use futures::{StreamExt, future};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    runtime::{
        Controller as Runtime,
        controller::Action,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use operator_api::{KmsAlias, KmsKey, RecordedKind, RecoveryRecord, labels};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    effect::{self, Site},
    keystore_account::{self, AccountError},
    recovery::{self, RecoveryError},
    report::{self, Controller, Failure, Retry},
    shared_store::LOOK_AGAIN,
    write::WriteError,
};

struct Aliasing {
    context: Arc<Context>,
    all: Store<KmsAlias>,
}

/// Why an alias could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum AliasError {
    /// The API server did not answer.
    #[error("failed to read the alias's target")]
    Read(#[source] kube::Error),
    /// See [`AccountError`].
    #[error(transparent)]
    Account(#[from] AccountError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
    /// See [`RecoveryError`].
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl Failure for AliasError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "ApiUnavailable",
            Self::Account(error) => error.reason(),
            Self::Write(error) => error.reason(),
            Self::Recovery(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Runs until `shutdown`; finishes the reconciles under way.
pub async fn run(context: Arc<Context>, shutdown: CancellationToken) {
    let aliases = Api::<KmsAlias>::all(context.client.clone());
    let keys = Api::<KmsKey>::all(context.client.clone());
    let runtime = Runtime::new(aliases.clone(), watcher::Config::default());
    let (all, of_key, of_name) = (runtime.store(), runtime.store(), runtime.store());
    runtime
        .watches(keys, watcher::Config::default(), move |key: KmsKey| {
            let (namespace, name) = (key.namespace(), key.name_any());
            refs(&of_key, move |alias| alias.namespace() == namespace && alias.spec.target_key_ref.name == name)
        })
        .watches(aliases, watcher::Config::default(), move |changed: KmsAlias| {
            let namespace = changed.namespace();
            refs(&of_name, move |alias| {
                alias.namespace() == namespace && alias.spec.alias_name == changed.spec.alias_name
            })
        })
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, |_, error, _| match *error {}, Arc::new(Aliasing { context, all }))
        .for_each(|_| future::ready(()))
        .await;
}

fn refs(all: &Store<KmsAlias>, wanted: impl Fn(&KmsAlias) -> bool) -> Vec<ObjectRef<KmsAlias>> {
    all.state().iter().filter(|alias| wanted(alias)).map(|alias| ObjectRef::from_obj(&**alias)).collect()
}

async fn reconcile(alias: Arc<KmsAlias>, aliasing: Arc<Aliasing>) -> Result<Action, Infallible> {
    let context = &aliasing.context;
    report::reconcile(context, Controller::KmsAlias, &*alias, Box::pin(work(&alias, &aliasing))).await
}

async fn work(alias: &KmsAlias, aliasing: &Aliasing) -> Result<Action, AliasError> {
    let api = Api::<KmsAlias>::namespaced(aliasing.context.client.clone(), &alias.namespace().unwrap_or_default());
    if alias.metadata.deletion_timestamp.is_some() {
        return let_go(&aliasing.context, &api, alias).await;
    }
    let (context, namespace) = (&aliasing.context, alias.namespace().unwrap_or_default());
    let account = keystore_account::account_of(context, &namespace).await?;
    let siblings: Vec<_> =
        aliasing.all.state().into_iter().filter(|other| other.namespace().as_deref() == Some(&namespace)).collect();
    let keys = Api::<KmsKey>::namespaced(context.client.clone(), &namespace);
    let target = keys.get_opt(&alias.spec.target_key_ref.name).await.map_err(AliasError::Read)?;
    let plan = plan::plan(alias, siblings.iter().map(AsRef::as_ref), target.as_ref());
    let arn = format!(
        "arn:{}:kms:{}:{account}:{}",
        context.settings.partition, context.settings.region, alias.spec.alias_name
    );
    let status = status::of(alias, &plan, arn, Timestamp::now());
    let writes = context.writes(Controller::KmsAlias);
    if matches!(plan, plan::Plan::Ready { .. }) {
        writes.add_finalizer(&api, alias, labels::ALIAS_FINALIZER).await?;
        let record = RecoveryRecord::of(RecordedKind::KmsAlias, alias);
        recovery::keep(context, Controller::KmsAlias, Site::AliasRecord, &record).await?;
    }
    if alias.status.as_ref() != Some(&status) {
        effect::at(Site::AliasStatus, writes.apply_status(&api, alias, &status)).await?;
    }
    // The cache of the siblings may lag behind what woke this one: the holder may be gone already (INV-72).
    let refused = matches!(plan, plan::Plan::AlreadyExists { .. } | plan::Plan::LimitExceeded);
    Ok(Action::requeue(if refused { LOOK_AGAIN } else { context.settings.resync }))
}

/// An alias may go at any time; only its record must know whether somebody wanted that.
async fn let_go(context: &Context, api: &Api<KmsAlias>, alias: &KmsAlias) -> Result<Action, AliasError> {
    if alias.finalizers().iter().any(|finalizer| finalizer == labels::ALIAS_FINALIZER) {
        let record = RecoveryRecord::of(RecordedKind::KmsAlias, alias);
        recovery::note_removal(context, Controller::KmsAlias, Site::AliasRecord, &record).await?;
        let writes = context.writes(Controller::KmsAlias);
        writes.remove_finalizer(api, alias, labels::ALIAS_FINALIZER).await?;
    }
    Ok(Action::await_change())
}
