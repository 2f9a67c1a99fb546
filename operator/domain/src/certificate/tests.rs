//! Renewal and handover, by tables and by a walk through many lifetimes.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(second)
}

fn term() -> Term {
    Term::new(Duration::from_secs(90), Duration::from_secs(30)).expect("valid")
}

fn keys(current: i64, next: Option<i64>, previous: &[i64]) -> ClientKeys {
    ClientKeys { current: at(current), next: next.map(at), previous: previous.iter().copied().map(at).collect() }
}

#[test]
fn a_term_leaves_time_to_renew_and_few_certificates_valid_at_once() {
    let of = |lifetime, before| Term::new(Duration::from_secs(lifetime), Duration::from_secs(before)).map(drop);
    assert_eq!(of(90, 30), Ok(()));
    assert_eq!(of(40, 30), Ok(()));
    assert_eq!(of(39, 30), Err(InvalidTerm::TooEarly));
    assert_eq!(of(0, 0), Err(InvalidTerm::Empty));
    assert_eq!(of(90, 0), Err(InvalidTerm::Empty));
    assert_eq!(of(u64::MAX, u64::MAX), Err(InvalidTerm::TooEarly));
}

#[test]
fn a_certificate_is_due_before_its_end_and_when_it_was_issued_for_too_long() {
    for (end, now, due, late) in [
        (90, 0, false, false),
        (90, 59, false, false),
        (90, 60, true, false),
        (90, 75, true, true),
        (90, 1_000, true, true),
        (91, 0, true, false),
    ] {
        assert_eq!((term().is_due(at(end), at(now)), term().is_late(at(end), at(now))), (due, late), "{end} {now}");
    }
}

/// D12: the HSMs admit the next key before it is used, and the old one until it has ended.
#[test]
fn a_key_is_used_once_every_hsm_admits_it_and_until_then_the_present_one_gets_another_certificate() {
    use Registration::{Complete, Missing, Partial};
    for (keys, registration, now, wanted) in [
        (keys(90, None, &[]), Missing, 0, Handover::Rest(at(60))),
        (keys(90, None, &[40]), Missing, 0, Handover::Rest(at(40))),
        (keys(90, None, &[]), Complete, 60, Handover::MakeNext),
        (keys(90, Some(150), &[]), Missing, 60, Handover::AwaitRegistration),
        (keys(90, Some(150), &[]), Partial, 60, Handover::AwaitRegistration),
        (keys(90, Some(150), &[]), Complete, 60, Handover::Promote),
        (keys(90, Some(150), &[]), Partial, 74, Handover::AwaitRegistration),
        (keys(90, Some(150), &[]), Partial, 75, Handover::Reissue),
        (keys(90, Some(150), &[]), Missing, 75, Handover::Reissue),
        (keys(90, Some(150), &[]), Missing, 100, Handover::Reissue),
        (keys(90, Some(150), &[]), Complete, 100, Handover::Promote),
        (keys(90, Some(150), &[]), Missing, 120, Handover::MakeNext),
        (keys(150, None, &[90, 100]), Complete, 89, Handover::Rest(at(90))),
        (keys(150, None, &[90, 100]), Complete, 90, Handover::ForgetEnded),
    ] {
        assert_eq!(handover(term(), &keys, registration, at(now)), wanted, "{keys:?} {registration:?} {now}");
    }
}

#[test]
fn a_registration_is_complete_when_every_active_hsm_admits_the_key() {
    for (active, admitting, wanted) in [
        (0, 0, Registration::Missing),
        (3, 0, Registration::Missing),
        (3, 2, Registration::Partial),
        (3, 3, Registration::Complete),
        (2, 3, Registration::Complete),
    ] {
        assert_eq!(Registration::of(active, admitting), wanted, "{active} {admitting}");
    }
}

proptest! {
    /// However slowly HSMs learn of keys, one of them perhaps never, the key in use is admitted by all of them and its certificate is valid;
    /// no ended key stays admitted for ever, and few are admitted at once.
    #[test]
    fn the_key_in_use_is_always_admitted(
        lifetime in 8_i64..400, part in 1_i64..=75, delays in prop::collection::vec((0_i64..40, 0_i64..400), 1..40)
    ) {
        let before = (lifetime * part / 100).max(1);
        let term = Term::new(Duration::from_secs(lifetime.unsigned_abs()), Duration::from_secs(before.unsigned_abs())).unwrap();
        let mut keys = keys(lifetime, None, &[]);
        let (mut delays, mut made_at, mut delay) = (delays.into_iter().cycle(), 0, (0, 0));
        for now in 0..lifetime * 6 {
            let (some, all) = (now >= made_at + delay.0, now >= made_at + delay.0 + delay.1);
            let registration = match (keys.next, some, all) {
                (Some(_), _, true) => Registration::Complete,
                (Some(_), true, false) => Registration::Partial,
                (Some(_) | None, _, _) => Registration::Missing,
            };
            let admitted = registration == Registration::Complete;
            match handover(term, &keys, registration, at(now)) {
                Handover::Rest(until) => prop_assert!(until > at(now)),
                Handover::AwaitRegistration => prop_assert!(!admitted),
                Handover::MakeNext => {
                    keys.next = Some(at(now + lifetime));
                    (made_at, delay) = (now, delays.next().unwrap_or_default());
                }
                Handover::Reissue => {
                    prop_assert!(!admitted);
                    keys.current = at(now + lifetime);
                }
                Handover::Promote => {
                    prop_assert!(admitted, "a key that not every HSM admits");
                    keys.previous.push(keys.current);
                    keys.current = keys.next.take().unwrap();
                }
                Handover::ForgetEnded => keys.previous.retain(|end| *end > at(now)),
            }
            prop_assert!(keys.previous.len() <= 4, "{:?}", keys);
        }
        prop_assert!(keys.current > at(lifetime), "was never renewed");
    }
}
