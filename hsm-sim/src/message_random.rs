//! Random values for messages, from a reserve that each thread fills at once.
//!
//! Security: such a value is public, it is part of the ciphertext blob; keys and data keys never come from the reserve.
//! A value must not be used twice (INV-57). A copy of this process, such as a virtual machine resumed twice from one snapshot,
//! has the same reserve for a second; therefore the time in nanoseconds is mixed in, which is another one in each copy. Nothing
//! here forks.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use random_reserve::Reserve;

use crate::seal::{RANDOM_LENGTH, SealError};

thread_local! {
    /// One for each thread, so that taking from it needs no lock.
    static RESERVE: RefCell<Reserve<{ 256 * RANDOM_LENGTH }>> = const { RefCell::new(Reserve::empty()) };
}

/// A random value that was never returned before.
///
/// # Errors
/// [`SealError`] if the generator fails; nothing may be sealed then.
pub(crate) fn message_random() -> Result<[u8; RANDOM_LENGTH], SealError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let random = RESERVE.with_borrow_mut(|reserve| reserve.take(now)).ok_or(SealError)?;
    Ok(mixed(random, now))
}

/// Exclusive-or with something that is independent of it leaves a random value random.
fn mixed(mut random: [u8; RANDOM_LENGTH], time: Duration) -> [u8; RANDOM_LENGTH] {
    for (byte, time) in random.iter_mut().zip(time.as_nanos().to_le_bytes()) {
        *byte ^= time;
    }
    random
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// INV-57.
    #[test]
    fn no_value_is_returned_twice_by_any_thread() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..5_000).map(|_| message_random().unwrap()).collect::<Vec<_>>()))
            .collect();
        let values: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(values.iter().collect::<HashSet<_>>().len(), values.len());
    }

    /// INV-57, for clones: the same reserve at another moment gives another value.
    #[test]
    fn copies_of_one_process_take_different_values() {
        let (random, time) = ([7; RANDOM_LENGTH], Duration::from_secs(1_800_000_000));
        assert_ne!(mixed(random, time), mixed(random, time + Duration::from_nanos(1)));
    }
}
