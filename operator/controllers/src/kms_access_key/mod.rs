//! The controller of `KmsAccessKey`: mints an AWS access key and delivers its secret once (D10).
//!
//! Order: id into `spec` → the gateway's Secret, which alone holds the drawn secret → the tenant's copy of it → `status.delivered`. A crash
//! anywhere leaves one key: the id is decided before the secret, and the secret is read back from where it was first put.

mod delivery;
mod failure;
mod mint;
mod status;

pub use failure::AccessKeyError;

use std::{convert::Infallible, sync::Arc};

use futures::{StreamExt, future};
use kube::{
    Api, ResourceExt,
    runtime::{Controller as Runtime, controller::Action, watcher},
};
use operator_api::{KmsAccessKey, labels};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    keystore_account,
    report::{self, Controller},
};

/// Runs until `shutdown`; finishes the reconciles under way.
pub async fn run(context: Arc<Context>, shutdown: CancellationToken) {
    Runtime::new(Api::<KmsAccessKey>::all(context.client.clone()), watcher::Config::default())
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, |_, error, _| match *error {}, context)
        .for_each(|_| future::ready(()))
        .await;
}

async fn reconcile(key: Arc<KmsAccessKey>, context: Arc<Context>) -> Result<Action, Infallible> {
    report::reconcile(&context, Controller::KmsAccessKey, &*key, Box::pin(work(&key, &context))).await
}

async fn work(cached: &KmsAccessKey, context: &Context) -> Result<Action, AccessKeyError> {
    let api = Api::<KmsAccessKey>::namespaced(context.client.clone(), &cached.namespace().unwrap_or_default());
    // INV-71: what follows cannot be taken back, so it starts from a quorum read.
    let Some(key) = api.get_opt(&cached.name_any()).await.map_err(AccessKeyError::Read)? else {
        return Ok(Action::await_change());
    };
    if key.metadata.deletion_timestamp.is_some() {
        delivery::revoke(context, &key).await?;
        let writes = context.writes(Controller::KmsAccessKey);
        writes.remove_finalizer(&api, &key, labels::ACCESS_KEY_FINALIZER).await?;
        return Ok(Action::await_change());
    }
    let outcome = deliver(&api, &key, context).await;
    status::write(&api, context, &outcome).await?;
    outcome.result.map(|()| Action::requeue(context.settings.resync))
}

async fn deliver(api: &Api<KmsAccessKey>, key: &KmsAccessKey, context: &Context) -> status::Outcome {
    let mut outcome = status::Outcome::of(key);
    outcome.result = async {
        let writes = context.writes(Controller::KmsAccessKey);
        outcome.key = writes.add_finalizer(api, key, labels::ACCESS_KEY_FINALIZER).await?;
        let account = keystore_account::account_of(context, &key.namespace().unwrap_or_default()).await?;
        outcome.key = delivery::decide_id(api, &outcome.key, context).await?;
        let minted = delivery::put_gateway_copy(&outcome.key, &account, context).await?;
        outcome.known_to_gateway = true;
        if !outcome.delivered {
            delivery::put_tenant_copy(&outcome.key, &minted, context).await?;
            outcome.delivered = true;
        }
        Ok(())
    }
    .await;
    outcome
}
