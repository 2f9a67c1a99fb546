//! The table of crashes and losses of P1, row by row.

use crate::connection::ConnectionErrorCode;
use crate::identifier::HsmId;
use crate::rotation::*;

fn id(at: u8) -> HsmId {
    HsmId::from_random([at; 10])
}

fn hsm(at: u8, epoch: u64, session: Option<u64>) -> HsmCredential {
    HsmCredential { hsm_id: id(at), epoch, last_op_id: format!("op-{epoch}"), locked: false, session }
}

/// An HSM whose credential was set by somebody else.
fn foreign(at: u8, epoch: u64) -> HsmCredential {
    HsmCredential { last_op_id: "by-an-officer".to_owned(), ..hsm(at, epoch, None) }
}

fn ring(entries: &[(u64, EntryState)]) -> Ring {
    let entry = |&(epoch, state)| RingEntry { epoch, state, op_id: format!("op-{epoch}") };
    Ring::new(entries.iter().map(entry).collect()).unwrap()
}

fn next(ring: &Ring, hsms: &[HsmCredential], supplied: Supplied) -> RotationStep {
    next_step(&Rotation { ring, hsms, supplied, completed: None })
}

fn log_in(at: u8, with: Credential) -> RotationStep {
    RotationStep::LogIn { hsm: id(at), with }
}

fn change(at: u8, expected: u64, new: u64) -> RotationStep {
    RotationStep::ChangePassword { hsm: id(at), expected, new, op_id: format!("op-{new}") }
}

#[test]
fn a_rotation_logs_in_writes_the_intent_changes_proves_and_marks_p1() {
    let before = ring(&[(1, EntryState::Active)]);
    assert_eq!(next(&before, &[hsm(1, 1, None), hsm(0, 1, None)], Supplied::Nothing), log_in(0, Credential::Ring(1)));
    assert_eq!(
        next(&before, &[hsm(0, 1, Some(1)), hsm(1, 1, None)], Supplied::Nothing),
        log_in(1, Credential::Ring(1))
    );
    let logged_in = [hsm(0, 1, Some(1)), hsm(1, 1, Some(1))];
    assert_eq!(next(&before, &logged_in, Supplied::Nothing), RotationStep::WriteIntent { epoch: 2 });
    let intended = before.with_intent(2, "op-2").unwrap();
    assert_eq!(next(&intended, &logged_in, Supplied::Nothing), change(0, 1, 2));
    assert_eq!(next(&intended, &[hsm(0, 2, Some(1)), hsm(1, 1, Some(1))], Supplied::Nothing), change(1, 1, 2));
    assert_eq!(
        next(&intended, &[hsm(0, 2, Some(1)), hsm(1, 2, Some(1))], Supplied::Nothing),
        log_in(0, Credential::Ring(2))
    );
    let proved = [hsm(0, 2, Some(2)), hsm(1, 2, Some(2))];
    assert_eq!(next(&intended, &proved, Supplied::Nothing), RotationStep::MarkActive { epoch: 2 });
    let active = intended.with_active(2).unwrap();
    let rotation = Rotation { ring: &active, hsms: &proved, supplied: Supplied::Nothing, completed: Some(2) };
    assert_eq!(next_step(&rotation), RotationStep::Done { epoch: 2 });
}

#[test]
fn an_intent_is_adopted_and_no_second_one_made_inv_27() {
    let intended = ring(&[(1, EntryState::Active), (2, EntryState::Intent)]);
    assert_eq!(next(&intended, &[hsm(0, 1, Some(1))], Supplied::Nothing), change(0, 1, 2));
}

#[test]
fn after_a_crash_in_the_middle_each_hsm_is_logged_in_with_its_own_epoch_inv_26() {
    let intended = ring(&[(1, EntryState::Active), (2, EntryState::Intent)]);
    let mixed = |session| [hsm(0, 2, None), hsm(1, 1, session)];
    assert_eq!(next(&intended, &mixed(None), Supplied::Nothing), log_in(1, Credential::Ring(1)));
    assert_eq!(next(&intended, &mixed(Some(1)), Supplied::Nothing), change(1, 1, 2));
    assert_eq!(
        next(&intended, &[hsm(0, 2, None), hsm(1, 2, Some(1))], Supplied::Nothing),
        log_in(0, Credential::Ring(2))
    );
}

#[test]
fn an_unknown_epoch_fails_without_spending_a_login_inv_25() {
    let before = ring(&[(1, EntryState::Active)]);
    let invalid = RotationStep::Fail(ConnectionErrorCode::InvalidCredentials);
    assert_eq!(next(&before, &[foreign(0, 2)], Supplied::Nothing), invalid);
    assert_eq!(next(&before, &[foreign(0, 1)], Supplied::Nothing), invalid, "the number alone proves nothing");
    assert_eq!(next(&Ring::default(), &[hsm(0, 1, None)], Supplied::Nothing), invalid, "the ring is gone");
}

#[test]
fn an_unknown_epoch_on_one_hsm_fails_before_a_login_is_spent_on_another() {
    let before = ring(&[(1, EntryState::Active)]);
    let invalid = RotationStep::Fail(ConnectionErrorCode::InvalidCredentials);
    assert_eq!(next(&before, &[hsm(0, 1, None), foreign(1, 2)], Supplied::Nothing), invalid);
}

#[test]
fn a_supplied_password_is_for_the_unknown_hsms_used_before_or_not() {
    let before = ring(&[(1, EntryState::Active)]);
    for supplied in [Supplied::Used, Supplied::New] {
        assert_eq!(next(&before, &[foreign(0, 2), hsm(1, 1, None)], supplied), log_in(0, Credential::Supplied));
        let first_done = HsmCredential { session: Some(2), ..foreign(0, 2) };
        assert_eq!(next(&before, &[first_done, hsm(1, 1, None)], supplied), log_in(1, Credential::Ring(1)));
        assert_eq!(next(&before, &[hsm(0, 1, None), foreign(1, 2)], supplied), log_in(0, Credential::Ring(1)));
    }
}

#[test]
fn a_new_password_is_tried_on_the_lowest_hsm_even_if_the_ring_knows_a_better_one() {
    let before = ring(&[(1, EntryState::Active)]);
    let all = [hsm(0, 1, None), hsm(1, 1, None)];
    assert_eq!(next(&before, &all, Supplied::New), log_in(0, Credential::Supplied));
    assert_eq!(next(&before, &all, Supplied::Used), log_in(0, Credential::Ring(1)));
    let first_done = [hsm(0, 1, Some(1)), hsm(1, 1, None)];
    assert_eq!(next(&before, &first_done, Supplied::New), log_in(1, Credential::Ring(1)));
}

/// INV-26: the crash falls between the changes; what is left to change never had the supplied password.
#[test]
fn a_supplied_password_is_noted_before_the_first_change_and_not_tried_on_the_others_after_a_crash() {
    let intended = ring(&[(1, EntryState::Active), (4, EntryState::Intent)]);
    let logged_in = [HsmCredential { session: Some(2), ..foreign(0, 2) }, hsm(1, 1, Some(1))];
    assert_eq!(next(&intended, &logged_in, Supplied::New), RotationStep::NoteSupplied);
    assert_eq!(next(&intended, &logged_in, Supplied::Used), change(0, 2, 4));
    let after_the_crash = [hsm(0, 4, None), hsm(1, 1, None)];
    assert_eq!(next(&intended, &after_the_crash, Supplied::Used), log_in(1, Credential::Ring(1)));
    assert_eq!(
        next(&intended, &after_the_crash[1..], Supplied::Used),
        log_in(1, Credential::Ring(1)),
        "the first is away"
    );
}

#[test]
fn an_intent_that_an_officer_overtook_is_replaced_above_both_and_kept_inv_24() {
    let intended = ring(&[(1, EntryState::Active), (2, EntryState::Intent)]);
    let overtaken = [HsmCredential { session: Some(5), ..foreign(0, 5) }];
    assert_eq!(next(&intended, &overtaken, Supplied::New), RotationStep::WriteIntent { epoch: 6 });
    let replaced = intended.with_intent(6, "op-6").unwrap();
    assert!(replaced.set_by(2, "op-2").is_some_and(|entry| entry.state == EntryState::Retired));
}

#[test]
fn nobody_reachable_is_network_errors_and_a_locked_user_is_locked_out() {
    let before = ring(&[(1, EntryState::Active)]);
    assert_eq!(next(&before, &[], Supplied::Nothing), RotationStep::Fail(ConnectionErrorCode::NetworkErrors));
    let locked = HsmCredential { locked: true, ..hsm(1, 1, None) };
    assert_eq!(
        next(&before, &[hsm(0, 1, None), locked], Supplied::Nothing),
        RotationStep::Fail(ConnectionErrorCode::UserLockedOut)
    );
}

#[test]
fn an_hsm_that_slept_through_rotations_is_brought_forward_by_its_own_epoch_inv_31() {
    let later = ring(&[(1, EntryState::Retired), (2, EntryState::Retired), (3, EntryState::Active)]);
    assert_eq!(bring_forward(&later, &hsm(2, 1, None)), Forward::Step(log_in(2, Credential::Ring(1))));
    assert_eq!(bring_forward(&later, &hsm(2, 1, Some(1))), Forward::Step(change(2, 1, 3)));
    assert_eq!(bring_forward(&later, &hsm(2, 3, Some(1))), Forward::Step(log_in(2, Credential::Ring(3))));
    assert_eq!(bring_forward(&later, &hsm(2, 3, Some(3))), Forward::InService);
    assert_eq!(bring_forward(&later, &foreign(2, 3)), Forward::OutOfService);
    assert_eq!(bring_forward(&later, &HsmCredential { locked: true, ..hsm(2, 1, None) }), Forward::OutOfService);
}

#[test]
fn pruning_keeps_what_a_member_or_a_backup_may_still_have_inv_31() {
    let later = ring(&[(1, EntryState::Retired), (2, EntryState::Retired), (3, EntryState::Active)]);
    let epochs = |ring: Ring| ring.entries().iter().map(|entry| entry.epoch).collect::<Vec<_>>();
    assert_eq!(epochs(later.pruned(2)), [2, 3]);
    assert_eq!(epochs(later.pruned(9)), [3], "the active entry is never pruned");
}

#[test]
fn a_ring_with_two_passwords_for_one_epoch_is_refused_inv_27() {
    let entry = |epoch, state| RingEntry { epoch, state, op_id: String::new() };
    let twice = vec![entry(1, EntryState::Active), entry(1, EntryState::Retired)];
    assert_eq!(Ring::new(twice), Err(InvalidRing::RepeatedEpoch(1)));
    let two_intents = vec![entry(1, EntryState::Intent), entry(2, EntryState::Intent)];
    assert_eq!(Ring::new(two_intents), Err(InvalidRing::RepeatedState(EntryState::Intent)));
    assert_eq!(ring(&[(3, EntryState::Active)]).with_intent(3, "op"), None);
    assert_eq!(ring(&[(3, EntryState::Active)]).with_active(3), None);
}
