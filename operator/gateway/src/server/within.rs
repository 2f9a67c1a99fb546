//! A time limit for work that is nearly always done at once, and is then not timed at all.
//!
//! A timer has to go into the runtime's wheel and out of it, and where it would be the next one to fire it costs a write
//! to the descriptor that wakes the runtime, which then looks in vain.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// The outcome of `work`. Its time counts from the moment when it was asked a second time and was not done.
///
/// # Errors
/// When `limit` has passed.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    let mut asked = false;
    let soon = poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if asked => Poll::Ready(None),
        Poll::Pending => {
            asked = true;
            // It is asked again even if it never wakes anybody.
            context.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match soon.await {
        Some(outcome) => Ok(outcome),
        None => timeout(limit, work).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Work that is done when it is asked so many times, and wakes nobody.
    fn done_when_asked(times: u32) -> impl Future<Output = u32> {
        let mut asked = 0;
        poll_fn(move |_| {
            asked += 1;
            if asked < times { Poll::Pending } else { Poll::Ready(asked) }
        })
    }

    #[test]
    fn work_that_is_done_when_it_is_asked_again_is_not_timed() {
        for times in [1, 2] {
            // Outside of a runtime a timer panics.
            assert_eq!(futures::executor::block_on(within(LIMIT, done_when_asked(times))).ok(), Some(times));
        }
    }

    #[tokio::test]
    async fn other_work_has_its_time_and_no_more() {
        let slow = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            7
        };
        assert_eq!(within(LIMIT, slow).await.ok(), Some(7));
        assert!(within(Duration::from_millis(20), std::future::pending::<()>()).await.is_err());
    }
}
