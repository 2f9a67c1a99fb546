//! The checker of the kill cycles against good histories, and against each single damage.

use super::*;
use proptest::prelude::*;

const HSMS: usize = 3;

/// What became of one key: asked for only, or made on some HSMs and lost sight of, or promised and used.
#[derive(Debug, Clone, Copy)]
enum Fate {
    NeverMade,
    MadeUnacknowledged,
    Promised { sealed: bool },
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::NeverMade),
        Just(Fate::MadeUnacknowledged),
        any::<bool>().prop_map(|sealed| Fate::Promised { sealed })
    ]
}

fn key(number: usize) -> Key {
    [u8::try_from(number).unwrap(); 16]
}

fn print(number: usize) -> Fingerprint {
    [u8::try_from(number).unwrap(); 32]
}

/// A history as it is when nothing is lost. `changes` holds per HSM how many password changes were asked for and which was the last
/// that was done and the last that was acknowledged.
fn good(fates: &[Fate], changes: &[(u64, u64, u64)]) -> Vec<Event> {
    let mut history = Vec::new();
    for (number, fate) in fates.iter().enumerate() {
        let (key, fingerprint) = (key(number), print(number));
        history.push(Event::Asked { key });
        if let Fate::Promised { sealed } = fate {
            history.push(Event::Acknowledged { key, fingerprint });
            if *sealed {
                history.push(Event::Sealed { key, blob: number });
            }
        }
    }
    for (hsm, (asked, done, acknowledged)) in changes.iter().enumerate() {
        history.extend((1..=*asked).map(|epoch| Event::ChangeAsked { hsm, epoch }));
        history.extend((1..=*acknowledged).map(|epoch| Event::ChangeAcknowledged { hsm, epoch }));
        history.push(Event::EpochAtEnd { hsm, epoch: *done, logs_in: true });
    }
    for hsm in 0..HSMS {
        for (number, fate) in fates.iter().enumerate() {
            if !matches!(fate, Fate::NeverMade) {
                let (key, fingerprint) = (key(number), print(number));
                history.push(Event::HeldAtEnd { hsm, key, fingerprint, conflict: false });
            }
            if matches!(fate, Fate::Promised { sealed: true }) {
                history.push(Event::Opened { hsm, blob: number, right: true });
            }
        }
        history.push(Event::Told { hsm });
    }
    history
}

fn history() -> impl Strategy<Value = (Vec<Fate>, Vec<(u64, u64, u64)>)> {
    let changes = (1..6_u64).prop_flat_map(|asked| {
        (0..=asked).prop_flat_map(move |done| (0..=done).prop_map(move |acknowledged| (asked, done, acknowledged)))
    });
    (prop::collection::vec(fate(), 1..12), prop::collection::vec(changes, HSMS))
}

proptest! {
    #[test]
    fn a_history_without_a_loss_has_no_violation((fates, changes) in history()) {
        prop_assert_eq!(violations(&good(&fates, &changes), HSMS), BTreeSet::new());
    }

    /// Every single damage to a good history is found, and nothing else is.
    #[test]
    fn a_promised_key_that_one_hsm_lost_is_found((fates, changes) in history(), hsm in 0..HSMS) {
        for (number, _) in fates.iter().enumerate().filter(|(_, fate)| matches!(fate, Fate::Promised { .. })) {
            let mut bad = good(&fates, &changes);
            bad.retain(|event| !matches!(event, Event::HeldAtEnd { hsm: of, key: k, .. } if *of == hsm && *k == key(number)));
            prop_assert_eq!(violations(&bad, HSMS), BTreeSet::from([Violation::LostKey { hsm, key: key(number) }]));
        }
    }

    #[test]
    fn a_second_material_under_one_id_is_found_wherever_it_shows((fates, changes) in history(), hsm in 0..HSMS) {
        for number in 0..fates.len() {
            let (key, other) = (key(number), print(200));
            if matches!(fates[number], Fate::NeverMade) {
                continue;
            }
            let conflict = Event::HeldAtEnd { hsm, key, fingerprint: print(number), conflict: true };
            for sign in [Event::Seen { key, fingerprint: other }, conflict] {
                let mut bad = good(&fates, &changes);
                bad.push(sign);
                prop_assert_eq!(violations(&bad, HSMS), BTreeSet::from([Violation::ChangedKey { key }]));
            }
        }
    }

    #[test]
    fn a_password_that_went_back_or_does_not_log_in_is_found((fates, changes) in history(), hsm in 0..HSMS) {
        let (asked, done, acknowledged) = changes[hsm];
        let bad_ends = [(done, false), (asked + 1, true)].into_iter();
        for (epoch, logs_in) in bad_ends.chain(acknowledged.checked_sub(1).map(|epoch| (epoch, true))) {
            let mut bad = good(&fates, &changes);
            bad.push(Event::EpochAtEnd { hsm, epoch, logs_in });
            prop_assert_eq!(violations(&bad, HSMS), BTreeSet::from([Violation::LostPassword { hsm }]));
        }
    }

    #[test]
    fn a_ciphertext_that_does_not_open_a_stray_key_and_a_missing_end_are_found(
        (mut fates, changes) in history(), hsm in 0..HSMS
    ) {
        fates.push(Fate::Promised { sealed: true });
        let (blob, whole) = (fates.len() - 1, good(&fates, &changes));
        let without = |gone: Event| whole.iter().filter(|event| **event != gone).cloned().collect::<Vec<_>>();
        let lost = BTreeSet::from([Violation::LostCiphertext { hsm, blob }]);
        prop_assert_eq!(violations(&without(Event::Opened { hsm, blob, right: true }), HSMS), lost.clone());
        let wrong = [whole.clone(), vec![Event::Opened { hsm, blob, right: false }]].concat();
        prop_assert_eq!(violations(&wrong, HSMS), lost);
        let stray = [whole.clone(), vec![Event::Seen { key: key(250), fingerprint: print(250) }]].concat();
        prop_assert_eq!(violations(&stray, HSMS), BTreeSet::from([Violation::StrayKey { key: key(250) }]));
        prop_assert_eq!(violations(&without(Event::Told { hsm }), HSMS), BTreeSet::from([Violation::Untold { hsm }]));
    }
}

/// L1: an answer that was lost is neither success nor failure.
#[test]
fn an_unacknowledged_key_may_be_on_any_subset_of_the_hsms() {
    for holders in [&[][..], &[0], &[1, 2], &[0, 1, 2]] {
        let mut history = vec![Event::Asked { key: key(1) }];
        let held = |hsm: &usize| Event::HeldAtEnd { hsm: *hsm, key: key(1), fingerprint: print(1), conflict: false };
        history.extend(holders.iter().map(held));
        history.extend((0..HSMS).map(|hsm| Event::Told { hsm }));
        assert_eq!(violations(&history, HSMS), BTreeSet::new(), "{holders:?}");
    }
}
