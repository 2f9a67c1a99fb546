//! One watch: lists, follows, lists again after an interruption, and tells a [`Feed`] what is there and what has gone.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{StreamExt, pin_mut};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::readiness::Readiness;

/// Namespace and name of an object.
pub(super) type ObjectName = (String, String);

/// What takes the objects of one watch.
pub(super) trait Feed: Send + 'static {
    /// The kind of object.
    type Object: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static;
    /// What is waited for at the start.
    const NAME: &'static str;

    /// The object is there, in this state.
    fn put(&mut self, object: Self::Object);

    /// The object has gone.
    fn remove(&mut self, name: &ObjectName);

    /// Everything that is not in `present` has gone unseen.
    fn retain(&mut self, present: &HashSet<ObjectName>);
}

/// Runs the watch until `shutdown`. Errors are retried with backoff; meanwhile what is known stays known, because
/// losing the API server must not stop serving.
pub(super) async fn follow<F: Feed>(
    mut feed: F,
    api: Api<F::Object>,
    readiness: Arc<Readiness>,
    shutdown: CancellationToken,
) {
    let events = watcher(api, Config::default()).default_backoff();
    pin_mut!(events);
    let mut listed = HashSet::new();
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(object))) => {
                listed.insert(name_of(&object));
                feed.put(object);
            }
            Some(Ok(Event::InitDone)) => {
                feed.retain(&listed);
                listed = HashSet::new();
                readiness.done(F::NAME);
            }
            Some(Ok(Event::Apply(object))) => feed.put(object),
            Some(Ok(Event::Delete(object))) => feed.remove(&name_of(&object)),
            Some(Err(error)) => tracing::warn!(%error, watch = F::NAME, "a watch was interrupted"),
            None => return,
        }
    }
}

fn name_of(object: &impl ResourceExt) -> ObjectName {
    (object.namespace().unwrap_or_default(), object.name_any())
}
