//! Open loop: requests are due at fixed moments, whether or not earlier ones have been answered. Latency counts from the
//! moment a request was due, so a stall is seen by every request that it held up, not by one (no coordinated omission).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use super::pace::Pace;
use super::{Target, threads};
use crate::figure::percentile;
use crate::processes::{Usage, Used, Watched};

/// Requests due in this time are not counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long answers may take after the last request was due.
const PATIENCE: Duration = Duration::from_secs(10);

/// Latency in microseconds, from the moment a request was due to its whole answer.
pub(crate) struct Latency {
    /// Half of the requests were faster.
    pub(crate) p50: f64,
    /// 99 of 100 were faster.
    pub(crate) p99: f64,
    /// 999 of 1,000 were faster.
    pub(crate) p999: f64,
    /// The slowest.
    pub(crate) most: f64,
    /// CPU and wall time.
    pub(crate) used: Used,
}

/// Sends `rate` requests per second for `length` over `connections` connections.
///
/// # Errors
/// When a request is not answered with success.
pub(crate) fn open_loop(
    target: &Target,
    requests: &[Vec<u8>],
    connections: usize,
    rate: u32,
    length: Duration,
    watched: &Watched,
) -> Result<Latency> {
    let threads = threads();
    let before = Usage::now(watched)?;
    let share = connections.div_ceil(threads);
    let period = Duration::from_secs(1) * u32::try_from(threads)? / rate;
    let mut latencies: Vec<f64> = thread::scope(|scope| -> Result<Vec<f64>> {
        let running: Vec<_> =
            (0..threads).map(|_| scope.spawn(move || run(target, requests, share, period, length))).collect();
        let mut all = Vec::new();
        for thread in running {
            all.extend(thread.join().ok().context("a thread of the load panicked")??);
        }
        Ok(all)
    })?;
    let used = Usage::now(watched)?.since(&before);
    latencies.sort_by(f64::total_cmp);
    let most = *latencies.last().context("no request was due")?;
    let part = |part| percentile(&latencies, part);
    Ok(Latency { p50: part(0.5), p99: part(0.99), p999: part(0.999), most, used })
}

/// What the clock of one thread hands to its connections.
#[derive(Default)]
struct Due {
    moments: RefCell<VecDeque<Instant>>,
    more: Notify,
}

impl Due {
    async fn next(&self) -> Instant {
        loop {
            if let Some(moment) = self.moments.borrow_mut().pop_front() {
                return moment;
            }
            self.more.notified().await;
        }
    }
}

fn run(
    target: &Target,
    requests: &[Vec<u8>],
    connections: usize,
    period: Duration,
    length: Duration,
) -> Result<Vec<f64>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let due = Rc::new(Due::default());
        let clients = try_join_all((0..connections).map(|_| target.connect())).await?;
        let counted_from = Instant::now() + WARM_UP;
        let end = counted_from + length;
        let clock = tick(&due, period, end);
        let exchanges = clients.into_iter().enumerate().map(|(number, mut client)| {
            let due = Rc::clone(&due);
            async move {
                let mut latencies = Vec::new();
                for request in requests.iter().cycle().skip(number % requests.len()) {
                    let moment = due.next().await;
                    if moment >= end {
                        break;
                    }
                    client.exchange(request).await?;
                    if moment >= counted_from {
                        latencies.push(moment.elapsed().as_secs_f64() * 1e6);
                    }
                }
                anyhow::Ok(latencies)
            }
        });
        let all = async { tokio::try_join!(clock, try_join_all(exchanges)) };
        let ((), latencies) = tokio::time::timeout(WARM_UP + length + PATIENCE, all)
            .await
            .context("the gateway cannot keep up with the rate")??;
        Ok(latencies.concat())
    })
}

/// Hands out moments until `end`, then to each connection one that tells it to stop.
async fn tick(due: &Due, period: Duration, end: Instant) -> Result<()> {
    let mut pace = Pace::start(period)?;
    loop {
        let moments = pace.due().await?;
        let over = moments.last().is_some_and(|moment| *moment >= end);
        for moment in moments.into_iter().filter(|moment| *moment < end) {
            due.moments.borrow_mut().push_back(moment);
            due.more.notify_one();
        }
        if over {
            due.moments.borrow_mut().extend(std::iter::repeat_n(end, MOST_CONNECTIONS));
            due.more.notify_waiters();
            return Ok(());
        }
    }
}

/// More connections than one thread ever has.
const MOST_CONNECTIONS: usize = 65_536;
