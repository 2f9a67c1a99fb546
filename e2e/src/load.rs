//! Applications that encrypt and decrypt some twenty-five times a second while a test breaks something, and what they saw of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::quickstart::ALIAS;
use crate::sdk::{Caller, Retries, Sdk, Seen};
use crate::wait::{Look, until};

/// How long load may stand still before a test gives it up.
const PATIENCE: Duration = Duration::from_secs(180);

/// Running applications. They end with this value.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    applications: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    /// Starts some applications, each a boto3 of its own with connections of its own, and waits until they work.
    ///
    /// # Errors
    /// When they cannot be started or are not answered.
    pub async fn start(caller: &Caller, applications: usize, retries: Retries) -> Result<Self> {
        let mut load = Self { stop: Arc::default(), seen: Arc::default(), applications: Vec::new() };
        for _ in 0..applications {
            let (sdk, stop, seen) = (Sdk::start(caller)?, Arc::clone(&load.stop), Arc::clone(&load.seen));
            load.applications.push(std::thread::spawn(move || work(sdk, retries, &stop, &seen)));
        }
        load.goes_on(20).await?;
        Ok(load)
    }

    /// Waits until so many more calls were answered.
    ///
    /// # Errors
    /// When they are not within three minutes.
    pub async fn goes_on(&self, more: u64) -> Result<()> {
        let wanted = self.seen().calls + more;
        until("the load to go on", PATIENCE, || async {
            let seen = self.seen();
            Ok(if seen.calls >= wanted { Look::Done(()) } else { Look::NotYet(format!("{seen:?}")) })
        })
        .await
    }

    /// What all applications have seen so far, to the second.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the load, and fails if an application noticed anything, or if there was too little load to notice.
    ///
    /// # Errors
    /// When an answer was wrong, a call failed after the SDK's retries, or fewer than `floor` calls were answered.
    pub fn end_unharmed(mut self, floor: u64) -> Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        for application in self.applications.drain(..) {
            application.join().map_err(|_| anyhow!("an application ended with a panic"))??;
        }
        let seen = self.seen();
        ensure!(seen.wrong == 0 && seen.failed == 0, "the load noticed something: {seen:?}");
        ensure!(seen.calls >= floor, "too little load to mean anything, {floor} calls were expected: {seen:?}");
        Ok(seen)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn work(mut sdk: Sdk, retries: Retries, stop: &AtomicBool, seen: &Mutex<Seen>) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let second = sdk.traffic(ALIAS, 1, retries)?;
        *seen.lock().unwrap_or_else(PoisonError::into_inner) += second;
    }
    Ok(())
}
