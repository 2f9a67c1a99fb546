//! Random values for messages, from a reserve that each thread fills at once: one call of the generator costs more than
//! the encryption, and calls of several threads hold each other up (performance §2.1).
//!
//! Security: such a value is public, it is part of the ciphertext blob; keys and data keys never come from the reserve.
//! A value must not be used twice (INV-57). Each is wiped as it is taken, and what is older than a second is thrown away.
//! A copy of this process, such as a virtual machine resumed twice from one snapshot, has the same reserve; therefore the
//! time in nanoseconds is mixed in, which is another one in each copy. Nothing here forks.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use zeroize::Zeroize;

use crate::seal::{RANDOM_LENGTH, SealError};

const SIZE: usize = 256 * RANDOM_LENGTH;
const OLDEST: Duration = Duration::from_secs(1);

/// Random bytes that nobody has used.
struct Reserve {
    bytes: [u8; SIZE],
    used: usize,
    filled: Option<Instant>,
}

thread_local! {
    /// One for each thread, so that taking from it needs no lock.
    static RESERVE: RefCell<Reserve> = const { RefCell::new(Reserve { bytes: [0; SIZE], used: SIZE, filled: None }) };
}

/// A random value that was never returned before.
///
/// # Errors
/// [`SealError`] if the generator fails; nothing may be sealed then.
pub(crate) fn message_random() -> Result<[u8; RANDOM_LENGTH], SealError> {
    let random = RESERVE.with_borrow_mut(|reserve| reserve.take(Instant::now()))?;
    Ok(mixed(random, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}

/// Exclusive-or with something that is independent of it leaves a random value random.
fn mixed(mut random: [u8; RANDOM_LENGTH], time: Duration) -> [u8; RANDOM_LENGTH] {
    for (byte, time) in random.iter_mut().zip(time.as_nanos().to_le_bytes()) {
        *byte ^= time;
    }
    random
}

impl Reserve {
    fn take(&mut self, now: Instant) -> Result<[u8; RANDOM_LENGTH], SealError> {
        let is_old = self.filled.is_none_or(|filled| now.saturating_duration_since(filled) > OLDEST);
        if is_old || self.used == SIZE {
            self.fill(now)?;
        }
        let unused = self.bytes.get_mut(self.used..).and_then(<[u8]>::first_chunk_mut).ok_or(SealError)?;
        let random = *unused;
        unused.zeroize();
        self.used += RANDOM_LENGTH;
        Ok(random)
    }

    fn fill(&mut self, now: Instant) -> Result<(), SealError> {
        // Until the generator has succeeded there is nothing to take.
        (self.used, self.filled) = (SIZE, None);
        rand::fill(&mut self.bytes).map_err(|_| SealError)?;
        (self.used, self.filled) = (0, Some(now));
        Ok(())
    }
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

    #[test]
    fn what_was_taken_is_wiped_and_what_is_old_is_thrown_away() {
        let mut reserve = Reserve { bytes: [0; SIZE], used: SIZE, filled: None };
        let start = Instant::now();
        reserve.take(start).unwrap();
        assert_eq!(reserve.bytes[..RANDOM_LENGTH], [0; RANDOM_LENGTH]);
        let next: [u8; RANDOM_LENGTH] = *reserve.bytes[RANDOM_LENGTH..].first_chunk().unwrap();
        assert_eq!(reserve.take(start + OLDEST).unwrap(), next);
        let next: [u8; RANDOM_LENGTH] = *reserve.bytes[2 * RANDOM_LENGTH..].first_chunk().unwrap();
        assert_ne!(reserve.take(start + OLDEST * 2).unwrap(), next, "older than a second");
    }

    /// INV-57, for clones: the same reserve at another moment gives another value.
    #[test]
    fn copies_of_one_process_take_different_values() {
        let (random, time) = ([7; RANDOM_LENGTH], Duration::from_secs(1_800_000_000));
        assert_ne!(mixed(random, time), mixed(random, time + Duration::from_nanos(1)));
    }
}
