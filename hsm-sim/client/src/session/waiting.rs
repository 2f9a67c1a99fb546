//! Who waits for which answer: a slot per request in flight, found by the request's id without hashing.
//!
//! An id is a slot and how often that slot was used before, so that a late answer to a request that was given up finds
//! nobody, and not the next one in its slot.

use tokio::time::Instant;

struct Slot<T> {
    uses: u32,
    waiting: Option<Caller<T>>,
}

struct Caller<T> {
    who: T,
    /// When its time is up; never, if that is beyond what a clock can show.
    until: Option<Instant>,
}

/// The requests in flight of one connection.
pub(super) struct Waiting<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Waiting<T> {
    /// Keeps `who`, which waits until `until`, and returns the id of its request: one that no earlier request had, until a
    /// slot has been used 2^32 times.
    pub(super) fn insert(&mut self, who: T, until: Option<Instant>) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { uses: 0, waiting: None });
            // Far fewer than 2^32 requests fit into the bytes that may wait.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(slot) = self.slots.get_mut(index as usize) else { return u64::MAX };
        slot.uses = slot.uses.wrapping_add(1);
        slot.waiting = Some(Caller { who, until });
        (u64::from(slot.uses) << 32) | u64::from(index)
    }

    /// Takes out who waits for the answer to request `id`, if somebody still does.
    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        let index = u32::try_from(id & u64::from(u32::MAX)).ok()?;
        let slot = self.slots.get_mut(index as usize).filter(|slot| u64::from(slot.uses) == id >> 32)?;
        let caller = slot.waiting.take()?;
        self.free.push(index);
        Some(caller.who)
    }

    /// Takes out everybody whose time is up at `now`.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<T> {
        let Self { slots, free } = self;
        let late = (0_u32..).zip(slots.iter_mut()).filter_map(|(index, slot)| {
            let caller = slot.waiting.take_if(|caller| caller.until.is_some_and(|until| until <= now))?;
            free.push(index);
            Some(caller.who)
        });
        late.collect()
    }

    /// When the time of the first one is up.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.waiting.as_ref()?.until).min()
    }

    /// Forgets everybody.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn it_agrees_with_a_map_and_never_gives_an_id_twice(removals in prop::collection::vec(any::<Option<u16>>(), 0..300)) {
            let (mut waiting, mut model, mut given) = (Waiting::default(), HashMap::new(), Vec::new());
            for (number, removal) in removals.into_iter().enumerate() {
                match removal {
                    None => {
                        let id = waiting.insert(number, None);
                        prop_assert!(!given.contains(&id));
                        given.push(id);
                        model.insert(id, number);
                    }
                    Some(pick) => {
                        let id = given.get(usize::from(pick) % given.len().max(1)).copied().unwrap_or(u64::from(pick));
                        prop_assert_eq!(waiting.remove(id), model.remove(&id));
                    }
                }
                prop_assert_eq!(waiting.len(), model.len());
            }
        }
    }

    #[test]
    fn a_late_answer_finds_nobody_and_not_the_next_one_in_its_slot() {
        let mut waiting = Waiting::default();
        let first = waiting.insert("first", None);
        assert_eq!(waiting.remove(first), Some("first"));
        let second = waiting.insert("second", None);
        assert_eq!(waiting.remove(first), None);
        assert_eq!(waiting.remove(second), Some("second"));
    }

    #[test]
    fn who_is_late_is_taken_out_and_who_is_not_stays_with_its_slot() {
        let start = Instant::now();
        let after = |seconds| Some(start + std::time::Duration::from_secs(seconds));
        let mut waiting = Waiting::default();
        let ids = [(3, "c"), (1, "a"), (2, "b")].map(|(seconds, who)| waiting.insert(who, after(seconds)));
        let never = waiting.insert("d", None);
        assert_eq!(waiting.earliest(), after(1));
        assert_eq!(waiting.take_late(start + std::time::Duration::from_secs(2)), ["a", "b"]);
        assert_eq!((waiting.earliest(), waiting.len()), (after(3), 2));
        assert_eq!([ids[1], ids[2]].map(|late| waiting.remove(late)), [None, None]);
        assert_eq!([ids[0], never].map(|kept| waiting.remove(kept)), [Some("c"), Some("d")]);
        assert_eq!((waiting.earliest(), waiting.len()), (None, 0));
    }
}
