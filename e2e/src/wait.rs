//! Waiting for conditions: every wait names what it waits for, has an end, and says what it last saw.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Shortest and longest pause between two looks.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// A tenth of what was waited so far: a look can cost as much as a process of its own (kubectl), and what takes half a minute need not be noticed
/// within a tenth of a second.
fn pause(waited: Duration) -> Duration {
    let [shortest, longest] = PAUSES;
    (waited / 10).clamp(shortest, longest)
}

/// What one look at the world found.
#[derive(Debug)]
pub enum Look<T> {
    /// The condition holds; here is what was waited for.
    Done(T),
    /// Not yet; the text ends up in the message when time runs out.
    NotYet(String),
}

/// Looks until the condition holds or `limit` is over.
///
/// # Errors
/// When time runs out (with what was seen last) or a look itself fails.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Look<T>>>,
{
    let start = Instant::now();
    loop {
        match look().await? {
            Look::Done(value) => return Ok(value),
            Look::NotYet(seen) if start.elapsed() > limit => {
                bail!("waited {} s for {what}; last seen: {seen}", limit.as_secs())
            }
            Look::NotYet(_) => tokio::time::sleep(pause(start.elapsed())).await,
        }
    }
}

/// A look that compares: done when `seen == wanted`.
pub fn equal<T: PartialEq + Debug>(seen: T, wanted: &T) -> Look<T> {
    if &seen == wanted { Look::Done(seen) } else { Look::NotYet(format!("{seen:?}")) }
}
