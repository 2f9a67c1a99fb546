//! Ends a connection on which nothing is asked: no byte after the handshake, a header that does not end, nothing more after
//! an answer.
//!
//! hyper's own limit does not cover this: it does not begin before the first bytes have shown which HTTP it is (hyper issue
//! 3962), nor behind an answer (hyper pull request 3828), so that idle connections could take all seats for ever.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// What goes on on one connection.
pub(super) struct Activity {
    began: Instant,
    under_way: AtomicUsize,
    /// When the last request ended, in milliseconds after `began`.
    ended: AtomicU64,
}

impl Activity {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), under_way: AtomicUsize::new(0), ended: AtomicU64::new(0) }
    }

    /// A request is under way until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::Acquire) > 0
    }

    /// How long nothing may happen from `now` on, if connections are idle for `limit` at most; none when the time is up.
    fn left(&self, limit: Duration, now: Instant) -> Option<Duration> {
        if self.is_busy() {
            return Some(limit);
        }
        let ended = Duration::from_millis(self.ended.load(Ordering::Relaxed));
        let idle = now.saturating_duration_since(self.began).saturating_sub(ended);
        limit.checked_sub(idle).filter(|left| !left.is_zero())
    }
}

/// See [`Activity::begin`].
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended.store(now, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Release);
    }
}

/// The outcome of `connection`; none when nothing was under way on it for `limit`.
pub(super) async fn unless_idle<T>(
    activity: &Activity,
    limit: Duration,
    connection: impl Future<Output = T>,
) -> Option<T> {
    let mut connection = pin!(connection);
    let mut idle = pin!(async {
        while let Some(left) = activity.left(limit, Instant::now()) {
            sleep(left).await;
        }
    });
    poll_fn(|context| match connection.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        // The end of what is under way wakes the connection, and then there is time to look.
        Poll::Pending if activity.is_busy() => Poll::Pending,
        Poll::Pending => idle.as_mut().poll(context).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn the_limit_counts_from_the_start_and_anew_from_the_end_of_each_request() {
        let activity = Arc::new(Activity::new());
        let left = |seconds| activity.left(LIMIT, activity.began + Duration::from_secs(seconds));
        assert_eq!([left(0), left(59), left(60)], [Some(LIMIT), Some(Duration::from_secs(1)), None]);
        let (one, other) = (activity.begin(), activity.begin());
        assert_eq!([left(0), left(1_000)], [Some(LIMIT); 2], "under way");
        drop(one);
        assert_eq!(left(1_000), Some(LIMIT), "another one is under way");
        drop(other);
        assert!(left(59).is_some());
        assert_eq!(left(1_000), None);
        activity.ended.store(1_000_000, Ordering::Relaxed);
        assert_eq!([left(1_059), left(1_060)], [Some(Duration::from_secs(1)), None]);
    }

    #[tokio::test]
    async fn a_connection_ends_when_it_is_idle_and_not_while_it_is_asked() {
        let (activity, limit) = (Arc::new(Activity::new()), Duration::from_millis(20));
        assert_eq!(unless_idle(&activity, limit, pending::<()>()).await, None, "never asked anything");
        let (activity, started) = (Arc::new(Activity::new()), Instant::now());
        let asked_once = async {
            let request = activity.begin();
            sleep(limit * 3).await;
            drop(request);
            pending::<()>().await;
        };
        assert_eq!(unless_idle(&activity, limit, asked_once).await, None);
        assert!(started.elapsed() >= limit * 3, "its request had its time");
        assert_eq!(unless_idle(&Activity::new(), limit, async { 7 }).await, Some(7));
    }
}
