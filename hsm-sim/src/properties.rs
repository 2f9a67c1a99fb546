//! What holds for any bytes whatever: called by the fuzz targets in `e2e/fuzz`, and by tests that replay what they found.

mod ciphertext_blob;
mod example;
mod session_sequence;
mod store_open;

pub use ciphertext_blob::{ciphertext_blob, ciphertext_blob_seeds};
pub use session_sequence::{SessionSequence, session_sequence_seeds};
pub use store_open::{StoreOpen, store_open_seeds};

/// A folder in memory where there is one: these properties write a volume for every input.
fn folder() -> tempfile::TempDir {
    let in_memory = std::path::Path::new("/dev/shm");
    let made = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
    made.expect("makes a folder")
}

#[cfg(test)]
#[path = "../../e2e/fuzz/src/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn what_fuzzing_began_with_and_found_holds() {
        replay::replay("ciphertext_blob", &ciphertext_blob_seeds(), ciphertext_blob);
        let volume = StoreOpen::new();
        replay::replay("store_open", &store_open_seeds(), |data| volume.check(data));
        let hsm = RefCell::new(SessionSequence::new());
        replay::replay("session_sequence", &session_sequence_seeds(), |data| hsm.borrow_mut().check(data));
    }
}
