//! What is dear to start and not changed by who uses it: the tests of a file that run at a time have one of it.

use std::sync::{Arc, Weak};

use anyhow::Result;
use tokio::sync::Mutex;

/// A `T` that lives as long as somebody holds it. For a `static`, which is never dropped itself: the last test that lets go ends the `T` and
/// with it its processes, and a later one starts another. So a test must find the `T` as new, or do with what the others leave of it.
///
/// Each test has a runtime of its own, so a `T` must not be bound to one: no client that keeps connections, no task.
#[derive(Debug)]
pub struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    /// Nothing is started yet.
    #[must_use]
    pub const fn idle() -> Self {
        Self(Mutex::const_new(Weak::new()))
    }

    /// What is there already, or what `start` makes of it; others who ask meanwhile wait for the same.
    ///
    /// # Errors
    /// Those of `start`; the next one who asks tries again.
    pub async fn hold(&self, start: impl AsyncFnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut present = self.0.lock().await;
        if let Some(held) = present.upgrade() {
            return Ok(held);
        }
        let started = Arc::new(start().await?);
        *present = Arc::downgrade(&started);
        Ok(started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_one_as_long_as_somebody_holds_it_and_then_another() -> Result<()> {
        static NUMBERED: Shared<u32> = Shared::idle();
        let first = NUMBERED.hold(async || Ok(1)).await?;
        let second = NUMBERED.hold(async || Ok(2)).await?;
        assert_eq!((*first, *second), (1, 1));
        drop(first);
        assert_eq!(*NUMBERED.hold(async || Ok(3)).await?, 1);
        drop(second);
        assert!(NUMBERED.hold(async || Err(anyhow::anyhow!("no"))).await.is_err());
        assert_eq!(*NUMBERED.hold(async || Ok(4)).await?, 4);
        Ok(())
    }
}
