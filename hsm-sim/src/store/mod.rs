//! Everything that must survive: a directory on the volume with a header, a sealed record store, and a preallocated
//! file of counters.
//!
//! Guarantees: a commit that returned is on disk (fsync before acknowledge); a record opens only at the place it was
//! written for (INV-58); a removed or replaced record is noticed when the volume is opened; kill -9 at any time
//! leaves a store that opens. Nothing here knows what a record means.

pub(crate) mod committer;
pub(crate) mod counters;
pub(crate) mod header;
pub(crate) mod inventory;
pub(crate) mod lock;
pub(crate) mod record;
pub(crate) mod sealing;
pub(crate) mod volume;

use std::path::PathBuf;

/// Why the store cannot be opened or written. The messages say what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Something on the volume is not as this process wrote it.
    #[error(
        "failed to open the volume at {}: damaged ({what}). Nothing was changed. If other HSMs of the cluster are \
         ACTIVE, delete this pod's volume claim: an empty volume is refilled by its peers. Otherwise restore the volume",
        path.display()
    )]
    Damaged {
        /// The volume.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The volume belongs to somebody else.
    #[error("failed to open the volume at {}: foreign ({what}). Nothing was changed. Mount the volume of this pod, with the sealing share of its cluster", path.display())]
    Foreign {
        /// The volume.
        path: PathBuf,
        /// What does not match.
        what: String,
    },
    /// Another process has it.
    #[error("failed to lock the volume at {}: another process uses it", .0.display())]
    Locked(PathBuf),
    /// No space left; nothing was changed (INV-11).
    #[error("failed to write: no space left on the volume")]
    Full,
    /// The volume failed; the process must stop (INV-09).
    #[error("failed to write to the volume")]
    Failed,
    /// Reading or writing failed before anything was served.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl StoreError {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Damage found at `path`.
    pub(crate) fn damaged(path: &std::path::Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}
