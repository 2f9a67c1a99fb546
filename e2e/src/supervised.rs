//! A replica of the controllers under what its Deployment would do: one that gave up because it lost its Lease is started afresh.
//!
//! On a machine that stands still for some seconds a leader loses its Lease and must end (P5). Every other end is a fault, and stays one
//! here: nothing is started again that a test should see dead.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;

use crate::process::{Process, tail};

/// Between two looks whether the process has ended, and so also the pause before it is started again.
const PERIOD: Duration = Duration::from_millis(500);
/// What the program says at last when it ends for want of the Lease.
const LOST: &str = "lost the leader's lease";

/// The process of a replica, one after the other. It ends with this value.
#[derive(Debug)]
pub struct Supervised {
    process: Arc<Mutex<Option<Process>>>,
    log: PathBuf,
}

impl Supervised {
    /// Starts `command` with both outputs appended to `log`, and again whenever it has lost the Lease.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let replica = Self::once(name, &mut command, log)?;
        let (process, name, log) = (Arc::clone(&replica.process), name.to_owned(), log.to_owned());
        std::thread::spawn(move || supervise(&process, &name, command, &log));
        Ok(replica)
    }

    /// The same without a second start, for a process that is to die.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn once(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let process = Process::start(name, command, log)?;
        Ok(Self { process: Arc::new(Mutex::new(Some(process))), log: log.to_owned() })
    }

    /// The id of the present process; none after [`Supervised::kill`].
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        locked(&self.process).as_ref().map(Process::id)
    }

    /// Where both outputs go.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether the present process has ended, and how; none after [`Supervised::kill`].
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        locked(&self.process).as_mut().map_or(Ok(None), Process::ended)
    }

    /// SIGKILL, and waits until the process is gone, for good.
    pub fn kill(&mut self) {
        if let Some(mut process) = locked(&self.process).take() {
            process.kill();
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // Whoever drops this goes on as if the process were gone, so it is waited for here and not in the thread.
        drop(locked(&self.process).take());
    }
}

fn supervise(slot: &Mutex<Option<Process>>, name: &str, mut command: Command, log: &Path) {
    loop {
        std::thread::sleep(PERIOD);
        let mut slot = locked(slot);
        match slot.as_mut().map(Process::ended) {
            Some(Ok(None)) => {}
            Some(Ok(Some(status))) if tail(log, 5).contains(LOST) => {
                eprintln!("{name} lost its Lease and ended ({status}): started again, as a Deployment does");
                match Process::start(name, &mut command, log) {
                    Ok(process) => *slot = Some(process),
                    Err(error) => eprintln!("{name} was not started again: {error:#}"),
                }
            }
            Some(Ok(Some(_)) | Err(_)) | None => return,
        }
    }
}

/// A poisoned lock only says that another check failed; the process is still ours to end.
fn locked(slot: &Mutex<Option<Process>>) -> MutexGuard<'_, Option<Process>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;
    use crate::wait::{Look, until};

    /// A shell that notes its start in a file beside the log, says its last words, and ends with a failure.
    fn replica(folder: &Path, last_words: &str) -> Result<Supervised> {
        let mut command = Command::new("sh");
        let script = format!("echo begun >>'{}'; echo \"{last_words}\"; exit 1", folder.join("starts").display());
        command.args(["-c", &script]);
        Supervised::start("a replica", command, &folder.join("log"))
    }

    fn starts(folder: &Path) -> usize {
        std::fs::read_to_string(folder.join("starts")).unwrap_or_default().lines().count()
    }

    /// P5: the supervisor that the leader counts on.
    #[tokio::test]
    async fn a_replica_that_lost_its_lease_is_started_again_and_again() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let _replica = replica(folder.path(), &format!("Error: {LOST}"))?;
        until("the third start", Duration::from_secs(60), || async {
            let starts = starts(folder.path());
            Ok(if starts >= 3 { Look::Done(()) } else { Look::NotYet(format!("{starts} starts")) })
        })
        .await
    }

    #[tokio::test]
    async fn a_replica_that_ended_for_another_reason_or_was_killed_stays_as_it_is() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let broken = replica(folder.path(), "Error: another")?;
        until("its end", Duration::from_secs(60), || async {
            Ok(broken.ended()?.map_or(Look::NotYet("it runs".to_owned()), Look::Done))
        })
        .await?;
        let other = tempfile::tempdir()?;
        let mut killed = replica(other.path(), &format!("Error: {LOST}"))?;
        killed.kill();
        let before = starts(other.path());
        tokio::time::sleep(4 * PERIOD).await;
        ensure!(starts(folder.path()) == 1, "{} starts of a broken one", starts(folder.path()));
        ensure!(starts(other.path()) == before && killed.id().is_none(), "a killed one was started again");
        Ok(())
    }
}
