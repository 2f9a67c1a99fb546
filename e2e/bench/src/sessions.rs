//! The HSM session by itself: the product's client and one hsm-sim on one core, next to nested and plain echo on the same
//! core (G5, G6). On one core nothing has to be woken up on another, so the figures are the most stable of all.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use hsm_client::{KeyId, Session};
use tokio::runtime::Builder;

use crate::certificates::{self, Credentials};
use crate::child::Child;
use crate::echo::{self, Listening};
use crate::figure::Figures;
use crate::hsms::Hsms;
use crate::pinning::{self, Pinned};
use crate::processes::{Usage, Watched};

/// Requests in flight.
const WINDOW: usize = 64;
/// Longest one phase of dialling may take.
const DIAL: Duration = Duration::from_secs(10);
/// Bytes that are encrypted: the size of a data key.
const PLAINTEXT: [u8; 32] = [7; 32];

/// What the measurement needs, apart from the HSM.
struct Bench<'a> {
    hsms: &'a Hsms,
    core: usize,
    length: Duration,
    nested: (Child, Listening),
    plain: (Child, Listening),
    client: Credentials,
}

/// Runs `rounds` rounds of each and adds their figures.
///
/// # Errors
/// When a connection breaks or the kernel refuses to hold a process on a core.
pub(crate) fn measure(hsms: &Hsms, rounds: u16, length: Duration, figures: &mut Figures) -> Result<()> {
    let (server, client) = certificates::make()?;
    let nested = Child::start("echo", &echo::Settings { nested: Some(server) })?;
    let plain = Child::start("echo", &echo::Settings { nested: None })?;
    let core = pinning::last_core()?;
    let held = [nested.0.id(), plain.0.id(), hsms.first_process()?];
    let _held = held.map(|id| Pinned::process(id, core)).into_iter().collect::<Result<Vec<_>>>()?;
    let bench = Bench { hsms, core, length, nested, plain, client };
    for _ in 0..rounds {
        let (session, hsm_cpu) = bench.on_the_core(async || bench.session().await)?;
        let nested = bench
            .on_the_core(async || echo::client::measure(bench.nested.1, Some(&bench.client), WINDOW, length).await)?;
        let plain = bench.on_the_core(async || echo::client::measure(bench.plain.1, None, WINDOW, length).await)?;
        figures.add("session/encrypt/rate", "op/s", session);
        figures.add("session/encrypt/hsm-cpu", "µs/op", hsm_cpu);
        figures.add("session/nested-echo/rate", "op/s", nested);
        figures.add("session/plain-echo/rate", "op/s", plain);
        figures.add("session/encrypt-to-nested-echo", "ratio", session / nested);
        figures.add("session/nested-to-plain-echo", "ratio", nested / plain);
    }
    Ok(())
}

impl Bench<'_> {
    /// Runs `work` on a thread that is held on the core, in a runtime of its own.
    fn on_the_core<T: Send>(&self, work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                pinning::this_thread(self.core)?;
                Builder::new_current_thread().enable_all().build()?.block_on(work())
            });
            thread.join().ok().context("a measuring thread panicked")?
        })
    }

    /// Operations per second of one delegated session, and the HSM's CPU time per operation in microseconds.
    async fn session(&self) -> Result<(f64, f64)> {
        let access = &self.hsms.access;
        let endpoint = access.endpoints().into_iter().next().context("no HSM")?;
        let session = Session::connect(&endpoint, &access.identity()?, &access.anchor()?, DIAL).await?;
        session.open_delegation(&access.store_id, access.generation).await?;
        let key_id = KeyId(self.hsms.key_id.into_bytes());
        let watched = Watched::from([("hsm", vec![self.hsms.first_process()?])]);
        let before = Usage::now(&watched)?;
        let start = Instant::now();
        let caller = async |session: Session| -> Result<u32> {
            let mut count = 0;
            while start.elapsed() < self.length {
                session.encrypt(key_id, &PLAINTEXT, b"\0\0\0\0").await?;
                count += 1;
            }
            Ok(count)
        };
        let counts = try_join_all((0..WINDOW).map(|_| caller(session.clone()))).await?;
        let operations: f64 = counts.into_iter().map(f64::from).sum();
        let used = Usage::now(&watched)?.since(&before);
        let cpu = used.by_name.get("hsm").copied().unwrap_or_default();
        Ok((operations / used.elapsed, cpu * 1e6 / operations))
    }
}
