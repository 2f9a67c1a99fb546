//! random-reserve: random bytes that are fetched many at a time, for values that are public.
//!
//! One call of the generator costs more than encrypting a message or making an id, and calls of several threads hold each other up
//! (performance §2.1), so each thread has a reserve of its own. HSM and gateway share this.
//!
//! Security: keys and other secrets never come from a reserve. Bytes are wiped as they are taken, and what is older than a second is thrown
//! away, so that copies of a process, such as a virtual machine resumed twice from one snapshot, hardly share any.
//!
//! May import of this workspace: none. Never imports: `tokio`, `rustls`, `kube`. (It knows neither of its users.)

use std::time::Duration;

use aws_lc_rs::rand;
use zeroize::Zeroize;

/// How long bytes may wait.
const OLDEST: Duration = Duration::from_secs(1);

/// At most `SIZE` random bytes that nobody has used.
pub struct Reserve<const SIZE: usize> {
    bytes: [u8; SIZE],
    used: usize,
    filled: Option<Duration>,
}

impl<const SIZE: usize> Reserve<SIZE> {
    /// A reserve that is filled when something is taken from it.
    #[must_use]
    pub const fn empty() -> Self {
        Self { bytes: [0; SIZE], used: SIZE, filled: None }
    }

    /// `COUNT` bytes that were not taken before, not fetched longer than a second before `now`. None if the generator fails, or if a reserve
    /// of this size never holds so many. `now` is the time since a moment that the caller chooses once; bytes from what is then the future
    /// are thrown away too.
    pub fn take<const COUNT: usize>(&mut self, now: Duration) -> Option<[u8; COUNT]> {
        let age = self.filled.and_then(|filled| now.checked_sub(filled));
        let is_old = age.is_none_or(|age| age > OLDEST);
        if is_old || SIZE - self.used < COUNT {
            self.fill(now)?;
        }
        let unused = self.bytes.get_mut(self.used..)?.first_chunk_mut()?;
        let taken = *unused;
        unused.zeroize();
        self.used += COUNT;
        Some(taken)
    }

    fn fill(&mut self, now: Duration) -> Option<()> {
        // Until the generator has succeeded there is nothing to take.
        (self.used, self.filled) = (SIZE, None);
        rand::fill(&mut self.bytes).ok()?;
        (self.used, self.filled) = (0, Some(now));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 16;

    #[test]
    fn what_was_taken_is_wiped_and_what_is_old_is_thrown_away() {
        let mut reserve = Reserve::<{ 4 * COUNT }>::empty();
        let start = Duration::from_secs(1_800_000_000);
        reserve.take::<COUNT>(start).unwrap();
        assert_eq!(reserve.bytes[..COUNT], [0; COUNT]);
        let next: [u8; COUNT] = *reserve.bytes[COUNT..].first_chunk().unwrap();
        assert_eq!(reserve.take(start + OLDEST), Some(next));
        let next: [u8; COUNT] = *reserve.bytes[2 * COUNT..].first_chunk().unwrap();
        assert_ne!(reserve.take(start + OLDEST * 2), Some(next), "older than a second");
        let next: [u8; COUNT] = *reserve.bytes[COUNT..].first_chunk().unwrap();
        assert_ne!(reserve.take(start), Some(next), "the clock was put back");
    }

    #[test]
    fn a_reserve_is_filled_when_too_little_is_left_and_never_gives_more_than_it_holds() {
        let mut reserve = Reserve::<{ 3 * COUNT / 2 }>::empty();
        let now = Duration::ZERO;
        let (one, two) = (reserve.take::<COUNT>(now).unwrap(), reserve.take::<COUNT>(now).unwrap());
        assert_ne!(one, two);
        assert_ne!(two, [0; COUNT], "wiped bytes are not given");
        assert_eq!(reserve.take::<{ 2 * COUNT }>(now), None);
    }
}
