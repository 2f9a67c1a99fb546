//! Who waits for which answer: a slot per request in flight, found by the request's id without hashing.
//!
//! An id is a slot and how often that slot was used before, so that a late answer to a request that was given up finds
//! nobody, and not the next one in its slot.

struct Slot<T> {
    uses: u32,
    waiting: Option<T>,
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
    /// Keeps `waiting` and returns the id of its request: one that no earlier request had, until a slot has been used
    /// 2^32 times.
    pub(super) fn insert(&mut self, waiting: T) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { uses: 0, waiting: None });
            // Far fewer than 2^32 requests fit into the bytes that may wait.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(slot) = self.slots.get_mut(index as usize) else { return u64::MAX };
        slot.uses = slot.uses.wrapping_add(1);
        slot.waiting = Some(waiting);
        (u64::from(slot.uses) << 32) | u64::from(index)
    }

    /// Takes out who waits for the answer to request `id`, if somebody still does.
    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        let index = u32::try_from(id & u64::from(u32::MAX)).ok()?;
        let slot = self.slots.get_mut(index as usize).filter(|slot| u64::from(slot.uses) == id >> 32)?;
        let waiting = slot.waiting.take()?;
        self.free.push(index);
        Some(waiting)
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
                        let id = waiting.insert(number);
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
        let first = waiting.insert("first");
        assert_eq!(waiting.remove(first), Some("first"));
        let second = waiting.insert("second");
        assert_eq!(waiting.remove(first), None);
        assert_eq!(waiting.remove(second), Some("second"));
    }
}
