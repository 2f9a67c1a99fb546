//! One watch: lists, follows, lists again after an interruption, and tells a [`Feed`] what is there and what has gone.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{Config, DefaultBackoff, Event};
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
    let events = watcher(api, Config::default()).backoff(Pauses::default());
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

/// Longest pause before the API server is asked again. kube's own pauses grow to a minute, and for so long after an outage a replica would
/// go by the connections from before it: every request to a store that was connected anew meanwhile would be refused.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// kube's pauses, but none longer than [`LONGEST_PAUSE`].
#[derive(Default)]
struct Pauses(DefaultBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST_PAUSE))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

fn name_of(object: &impl ResourceExt) -> ObjectName {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_tried_again_for_ever_and_never_later_than_five_seconds_after_the_last_time() {
        let pauses: Vec<_> = Pauses::default().take(50).collect();
        assert_eq!(pauses.len(), 50);
        assert!(pauses[0] < Duration::from_secs(2) && pauses.iter().all(|pause| *pause <= LONGEST_PAUSE), "{pauses:?}");
    }
}
