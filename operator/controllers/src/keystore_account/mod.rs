//! The controller of `KeystoreAccount`: a namespace in which one of our kinds appears becomes an AWS account (D1).
//!
//! Stores, keys, aliases and access keys ask for their account when they are reconciled ([`account_of`]); a namespace that has only a cluster
//! gets its account from the watch here. The status of an account says whether it is the one that counts.

mod account;

pub use account::{AccountError, Accounts, account_of};

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
use operator_api::{CloudHsmCluster, KeystoreAccount, KeystoreAccountStatus};
use tokio_util::sync::CancellationToken;

use crate::{
    conditions::{self, Finding},
    context::Context,
    report::{self, Controller},
    shared_store::LOOK_AGAIN,
};

/// Runs until `shutdown`; finishes the reconciles under way.
pub async fn run(context: Arc<Context>, shutdown: CancellationToken) {
    future::join(for_clusters(context.clone(), shutdown.clone()), for_accounts(context, shutdown)).await;
}

async fn for_clusters(context: Arc<Context>, shutdown: CancellationToken) {
    Runtime::new(Api::<CloudHsmCluster>::all(context.client.clone()), watcher::Config::default())
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(mint_for, |_, error, _| match *error {}, context)
        .for_each(|_| future::ready(()))
        .await;
}

async fn mint_for(cluster: Arc<CloudHsmCluster>, context: Arc<Context>) -> Result<Action, Infallible> {
    let work = Box::pin(async {
        account_of(&context, &cluster.namespace().unwrap_or_default()).await?;
        Ok::<_, AccountError>(Action::await_change())
    });
    report::reconcile(&context, Controller::KeystoreAccount, &*cluster, work).await
}

struct Accounting {
    context: Arc<Context>,
    all: Store<KeystoreAccount>,
}

async fn for_accounts(context: Arc<Context>, shutdown: CancellationToken) {
    let accounts = Api::<KeystoreAccount>::all(context.client.clone());
    let runtime = Runtime::new(accounts.clone(), watcher::Config::default());
    let all = runtime.store();
    let siblings = all.clone();
    runtime
        .watches(accounts, watcher::Config::default(), move |changed: KeystoreAccount| {
            let namespace = changed.spec.namespace;
            let others = siblings.state().into_iter().filter(move |account| account.spec.namespace == namespace);
            others.map(|account| ObjectRef::from_obj(&*account)).collect::<Vec<_>>()
        })
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(describe, |_, error, _| match *error {}, Arc::new(Accounting { context, all }))
        .for_each(|_| future::ready(()))
        .await;
}

async fn describe(account: Arc<KeystoreAccount>, accounting: Arc<Accounting>) -> Result<Action, Infallible> {
    let context = &accounting.context;
    let work = async {
        let same = accounting.all.state().into_iter().filter(|other| other.spec.namespace == account.spec.namespace);
        let counts = account::oldest(same.map(|other| (*other).clone()).collect());
        let bound = counts.is_none_or(|oldest| oldest.name_any() == account.name_any());
        let ready = if bound {
            Finding::new("Ready", true, "Bound", "")
        } else {
            Finding::new(
                "Ready",
                false,
                "NamespaceHasAnOlderAccount",
                "an older account names this namespace: this one is not used",
            )
        };
        let present = account.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let conditions = conditions::merge(present, vec![ready], account.metadata.generation, Timestamp::now());
        let status = KeystoreAccountStatus { observed_generation: account.metadata.generation, conditions };
        if account.status.as_ref() != Some(&status) {
            let api = Api::<KeystoreAccount>::all(context.client.clone());
            context.writes(Controller::KeystoreAccount).apply_status(&api, &*account, &status).await?;
        }
        // The cache of the others may lag behind what woke this one: the older account may be gone already (INV-72).
        let next = if bound { Action::await_change() } else { Action::requeue(LOOK_AGAIN) };
        Ok::<_, crate::write::WriteError>(next)
    };
    report::reconcile(context, Controller::KeystoreAccount, &*account, work).await
}
