//! Puts both ends of a measurement on one core, and off it again.

use anyhow::{Context, Result};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A process that is held on one core until this is dropped.
pub(crate) struct Pinned {
    id: u32,
    before: CpuSet,
}

impl Pinned {
    /// Holds all threads of a process, and those that it starts, on `core`.
    ///
    /// # Errors
    /// When the process has ended or the core does not exist.
    pub(crate) fn process(id: u32, core: usize) -> Result<Self> {
        let before = sched_getaffinity(Some(pid(id)?))?;
        set(id, &only(core))?;
        Ok(Self { id, before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A process that has ended needs no core.
        let _ = set(self.id, &self.before);
    }
}

/// Holds the calling thread on `core`.
///
/// # Errors
/// When the core does not exist.
pub(crate) fn this_thread(core: usize) -> Result<()> {
    Ok(sched_setaffinity(None, &only(core))?)
}

/// The last core that this process may use: the first one has the most interrupts.
///
/// # Errors
/// When the kernel does not say.
pub(crate) fn last_core() -> Result<usize> {
    let allowed = sched_getaffinity(None)?;
    (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core)).context("no core to run on")
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

fn set(id: u32, cores: &CpuSet) -> Result<()> {
    for task in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let task = task?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Some(pid(task)?), cores)?;
    }
    Ok(())
}

fn pid(id: u32) -> Result<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw).context("not a process id")
}
