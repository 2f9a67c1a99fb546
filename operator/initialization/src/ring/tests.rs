//! Tests of the ring's rules (P1): examples, and random walks through every order of begin, commit, crash and prune.

use super::*;
use crate::password::random_op_id;
use proptest::prelude::*;

fn password() -> Password {
    Password::generate().expect("randomness")
}

fn first() -> Ring {
    Ring::first(password(), random_op_id().expect("randomness"))
}

fn begin(ring: &mut Ring, at_least: u64) -> Result<u64, RingError> {
    ring.add_intent(password(), random_op_id().expect("randomness"), at_least)
}

fn error(text: &str) -> RingError {
    match Ring::parse(text.as_bytes()) {
        Ok(_) => panic!("accepted {text}"),
        Err(error) => error,
    }
}

#[test]
fn a_second_rotation_cannot_begin_while_one_is_under_way() {
    let mut ring = first();
    assert_eq!(begin(&mut ring, 0), Ok(2));
    assert!(begin(&mut ring, 0).is_err());
    let op_id = ring.intent().expect("is under way").op_id;
    let again = Ring::parse(&ring.encode()).expect("parses");
    assert_eq!(again.intent().expect("survives").op_id, op_id, "a crash leaves the same intent to adopt");
}

#[test]
fn both_passwords_stay_known_from_intent_to_commit_and_after_it() {
    let mut ring = first();
    let old = ring.active().expect("active").password.expose().to_owned();
    begin(&mut ring, 0).expect("begins");
    ring.commit(2).expect("commits");
    assert_eq!(ring.entry(1).expect("is kept").password.expose(), old);
    assert_eq!(ring.entry(1).expect("is kept").state, EntryState::Retired);
    assert_eq!(ring.active().expect("active").epoch, 2);
    assert_eq!(ring.commit(2), Ok(()), "committing twice is one commit");
    assert!(ring.commit(1).is_err());
}

/// P1 step 7: a restored old cluster can only jump forward.
#[test]
fn a_new_epoch_is_above_what_any_hsm_reports() {
    let mut ring = first();
    assert_eq!(begin(&mut ring, 41), Ok(42));
}

#[test]
fn a_ring_that_breaks_a_rule_is_refused_without_repeating_a_password() {
    let entry = |epoch: u64, state: &str| {
        format!(r#"{{"epoch":{epoch},"password":"SecretSecret","state":"{state}","opId":"{}"}}"#, "00".repeat(16))
    };
    let ring = |entries: &[String]| format!("[{}]", entries.join(","));
    let cases = [
        String::new(),
        "{}".into(),
        ring(&[]),
        ring(&[entry(0, "active")]),
        ring(&[entry(1, "retired")]),
        ring(&[entry(1, "active"), entry(2, "active")]),
        ring(&[entry(2, "active"), entry(1, "retired")]),
        ring(&[entry(1, "intent"), entry(2, "active")]),
        ring(&[entry(1, "active"), entry(1, "intent")]),
        ring(&[entry(1, "unknown")]),
        ring(&[entry(1, "active").replace("opId", "other")]),
    ];
    for text in cases {
        assert!(!error(&text).to_string().contains("SecretSecret"), "{text}");
    }
    assert!(Ring::parse(ring(&[entry(1, "retired"), entry(3, "active"), entry(7, "intent")]).as_bytes()).is_ok());
}

fn again(ring: &Ring) -> Ring {
    Ring::parse(&ring.encode()).expect("parses")
}

fn states(ring: &Ring) -> Vec<(u64, EntryState)> {
    ring.entries().iter().map(|entry| (entry.epoch, entry.state)).collect()
}

#[test]
fn what_only_an_earlier_ring_has_is_taken_over_as_retired() {
    let mut ring = first();
    let before = again(&ring);
    begin(&mut ring, 0).expect("begins");
    let under_way = again(&ring);
    ring.commit(2).expect("commits");
    ring.prune_below(2);
    for earlier in [before, under_way] {
        assert!(ring.is_ahead_of(&earlier) && !earlier.is_ahead_of(&ring));
        assert!(again(&earlier).with_earlier(again(&ring)).is_err(), "the later one is not taken back");
        let union = again(&ring).with_earlier(earlier).expect("fits");
        assert_eq!(states(&union), [(1, EntryState::Retired), (2, EntryState::Active)]);
    }
}

/// INV-24: an HSM that was away may have the one that is missing.
#[test]
fn a_ring_that_lacks_an_entry_and_has_come_no_further_is_an_earlier_one() {
    let mut ring = first();
    begin(&mut ring, 0).expect("begins");
    ring.commit(2).expect("commits");
    let mut shorter = again(&ring);
    shorter.prune_below(2);
    assert!(ring.is_ahead_of(&shorter) && !shorter.is_ahead_of(&ring));
    assert!(!ring.is_ahead_of(&again(&ring)));
}

#[test]
fn two_passwords_of_one_epoch_contradict_each_other() {
    let (mut ring, other) = (first(), first());
    assert!(ring.contradicts(&other) && other.contradicts(&ring));
    let before = again(&ring);
    begin(&mut ring, 0).expect("begins");
    assert!(!ring.contradicts(&before) && !before.contradicts(&ring));
    assert!(ring.contradicts(&other));
}

proptest! {
    /// Over rotations in which every HSM took part, after which the ring is pruned, and others.
    #[test]
    fn of_two_states_the_one_that_was_written_later_is_ahead(rotations in prop::collection::vec(any::<bool>(), 1..6)) {
        let mut ring = first();
        let mut written = vec![ring.encode()];
        for everywhere in rotations {
            let epoch = begin(&mut ring, 0).expect("begins");
            written.push(ring.encode());
            ring.commit(epoch).expect("commits");
            if everywhere {
                ring.prune_below(epoch);
            }
            written.push(ring.encode());
        }
        let written: Vec<_> = written.iter().map(|text| Ring::parse(text).expect("parses")).collect();
        for (index, later) in written.iter().enumerate() {
            for earlier in &written[..index] {
                prop_assert!(later.is_ahead_of(earlier) && !earlier.is_ahead_of(later));
                prop_assert!(!later.contradicts(earlier));
                let union = again(later).with_earlier(again(earlier)).expect("fits");
                prop_assert!(!later.is_ahead_of(&union) && !earlier.is_ahead_of(&union));
                prop_assert_eq!(union.active().map(|entry| entry.epoch), later.active().map(|entry| entry.epoch));
            }
        }
    }

    /// INV-24: whatever happens in whatever order, every epoch from the lowest one in use to the newest is known, and
    /// the ring survives its own encoding.
    #[test]
    fn no_order_of_steps_loses_an_epoch_that_is_in_use(steps in prop::collection::vec(0u8..4, 1..60)) {
        let mut ring = first();
        let mut lowest = 1;
        let mut made = vec![1];
        for step in steps {
            match step {
                0 => made.extend(begin(&mut ring, 0).ok()),
                1 => {
                    let epoch = ring.intent().map(|entry| entry.epoch);
                    if let Some(epoch) = epoch {
                        prop_assert!(ring.commit(epoch).is_ok());
                    }
                }
                2 => {
                    lowest = ring.active().expect("one is active").epoch;
                    ring.prune_below(lowest);
                }
                _ => {
                    let Ok(read) = Ring::parse(&ring.encode()) else { panic!("its own encoding") };
                    ring = read;
                }
            }
            for epoch in made.iter().filter(|epoch| **epoch >= lowest) {
                prop_assert!(ring.entry(*epoch).is_some());
            }
            prop_assert!(Ring::parse(&ring.encode()).is_ok());
        }
    }
}
