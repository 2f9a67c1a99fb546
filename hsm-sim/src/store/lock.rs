//! Single writer: one process per volume (INV-73).

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

/// Held as long as the process may write. The kernel releases it when the process dies.
pub(crate) struct VolumeLock {
    _file: File,
}

impl VolumeLock {
    /// Takes the lock without waiting.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process holds it, [`StoreError::Io`] if the file cannot be opened.
    pub(crate) fn acquire(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("open the lock file", &path))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| StoreError::Locked(data_dir.to_owned()))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_on_one_volume_is_refused_until_the_first_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let first = VolumeLock::acquire(dir.path()).unwrap();
        assert!(matches!(VolumeLock::acquire(dir.path()), Err(StoreError::Locked(_))));
        drop(first);
        assert!(VolumeLock::acquire(dir.path()).is_ok());
    }
}
