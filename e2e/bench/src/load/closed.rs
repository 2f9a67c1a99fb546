//! Closed loop: every connection sends its next request as soon as the last one is answered. Shows throughput, and what
//! an operation costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::runtime::Builder;

use super::{Target, threads};
use crate::processes::{Usage, Used, Watched};

/// Time before counting begins: connections open, caches fill, the clock of the processor rises.
const WARM_UP: Duration = Duration::from_millis(500);

/// How many operations were done, and with how much CPU time.
pub(crate) struct Throughput {
    /// Operations in the window.
    pub(crate) operations: f64,
    /// CPU and wall time of the window.
    pub(crate) used: Used,
}

/// Runs `connections` connections for `length`.
///
/// # Errors
/// When a request is not answered with success.
pub(crate) fn closed_loop(
    target: &Target,
    requests: &[Vec<u8>],
    connections: usize,
    length: Duration,
    watched: &Watched,
) -> Result<Throughput> {
    let stop = Arc::new(AtomicBool::new(false));
    let counters: Vec<_> = (0..threads()).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let count = || counters.iter().map(|counter| counter.load(Ordering::Relaxed)).sum::<u64>();
    thread::scope(|scope| {
        let running: Vec<_> = counters
            .iter()
            .enumerate()
            .map(|(number, counter)| {
                let share = (connections + number) / counters.len();
                let stop = &stop;
                scope.spawn(move || run(target, requests, share, counter, stop))
            })
            .collect();
        thread::sleep(WARM_UP);
        let before = (Usage::now(watched), count());
        thread::sleep(length);
        let after = (Usage::now(watched), count());
        stop.store(true, Ordering::Relaxed);
        for thread in running {
            thread.join().ok().context("a thread of the load panicked")??;
        }
        // A round has far fewer than 2^52 operations.
        #[allow(clippy::cast_precision_loss)]
        Ok(Throughput { operations: (after.1 - before.1) as f64, used: after.0?.since(&before.0?) })
    })
}

fn run(
    target: &Target,
    requests: &[Vec<u8>],
    connections: usize,
    counter: &AtomicU64,
    stop: &AtomicBool,
) -> Result<()> {
    let one = async |connection: usize| -> Result<()> {
        let mut client = target.connect().await?;
        // Connections start at different requests, so that they do not all send the same one at once.
        for request in requests.iter().cycle().skip(connection % requests.len()) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            client.exchange(request).await?;
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { try_join_all((0..connections).map(one)).await.map(drop) })
}
