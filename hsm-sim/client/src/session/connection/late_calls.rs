//! Tells callers of a connection that their time is up.
//!
//! One timer for all of them: one for each would be set and taken back for every request, and hardly any ever fires.
//! While requests come and go it fires about once per deadline, and at rest never.

use super::Shared;
use crate::error::HsmError;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// Ends the connection when it is dropped: without the task that holds it nobody would tell callers that their time is up.
pub(super) struct EndsConnection(pub(super) Arc<Shared>);

impl Drop for EndsConnection {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Looks for callers whose time is up until the connection has ended.
pub(super) async fn end(connection: EndsConnection) {
    let shared = &connection.0;
    while !shared.ended.is_cancelled() {
        let look = look(shared, Instant::now());
        let moment = async {
            match look {
                Some(moment) => sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = moment => {}
            () = shared.earlier.notified() => {}
            () = shared.ended.cancelled() => {}
        }
    }
}

/// Tells those who are late at `now`, and says when to look again.
fn look(shared: &Shared, now: Instant) -> Option<Instant> {
    let mut queue = shared.lock();
    let late = queue.waiting.take_late(now);
    let next = queue.waiting.earliest();
    queue.look = next;
    drop(queue);
    for caller in late {
        // A caller that has gone away needs no answer.
        let _ = caller.send(Err(HsmError::Timeout));
    }
    next
}
