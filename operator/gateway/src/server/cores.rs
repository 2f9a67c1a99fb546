//! The threads of the data path: one per core, each with a runtime of its own.
//!
//! A request, the session to the HSM and the wake-up by its answer stay on one thread: waking another core costs more
//! than both TLS layers (performance §2.2).

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// Most threads: each one has a session to every HSM of every connected store, and an HSM takes a bounded number.
const MOST: usize = 8;
/// How long work outside of the runtimes, such as name resolution, may hold up their end.
const END: Duration = Duration::from_secs(1);

/// The threads; dropping this ends them and everything that still runs on them.
pub struct Cores {
    runtimes: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Cores {
    /// Starts as many threads as this process may use cores, at most eight.
    ///
    /// # Errors
    /// When the operating system refuses a thread or an event queue.
    pub fn start() -> io::Result<Self> {
        Self::start_some(thread::available_parallelism().map_or(1, usize::from).min(MOST))
    }

    /// Starts `count` threads.
    ///
    /// # Errors
    /// As [`Cores::start`].
    pub fn start_some(count: usize) -> io::Result<Self> {
        let mut cores = Self { runtimes: Vec::new(), threads: Vec::new(), stop: CancellationToken::new() };
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            cores.runtimes.push(runtime.handle().clone());
            let (stop, name) = (cores.stop.clone(), format!("core-{number}"));
            cores.threads.push(thread::Builder::new().name(name).spawn(move || run(runtime, &stop))?);
        }
        Ok(cores)
    }

    /// The runtimes, one per thread.
    #[must_use]
    pub fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }
}

fn run(runtime: Runtime, stop: &CancellationToken) {
    runtime.block_on(stop.cancelled());
    runtime.shutdown_timeout(END);
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn each_runtime_has_a_thread_of_its_own_and_all_end_with_the_cores() {
        let cores = Cores::start_some(3).unwrap();
        let (said, heard) = mpsc::channel();
        for runtime in cores.runtimes() {
            let said = said.clone();
            runtime.spawn(async move {
                said.send(thread::current().id()).unwrap();
                // Holds its end of the channel until the runtime drops it.
                std::future::pending::<()>().await;
            });
        }
        drop(said);
        let mut threads: Vec<_> = (0..3).map(|_| heard.recv().unwrap()).collect();
        threads.dedup();
        assert_eq!(threads.len(), 3);
        drop(cores);
        assert!(heard.recv().is_err(), "the tasks are gone");
    }
}
