//! HSMs with real passwords (numbers), a stored ring with conditional writes, two operators that may crash, lose a reply or
//! work from a ring that is out of date, and an officer who changes the password and supplies it.

use crate::connection::ConnectionErrorCode;
use crate::identifier::HsmId;
use crate::rotation::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const MEMBERS: u8 = 3;
/// The officer's password: the same each time, so that what is supplied is right wherever the officer was last.
const OFFICERS: u32 = 1_000;

fn id(at: u8) -> HsmId {
    HsmId::from_random([at; 10])
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// An operator does its next step; `reply_lost` means that it never learns the outcome and starts over.
    Step { operator: usize, reply_lost: bool },
    /// An operator forgets everything.
    Crash(usize),
    /// An operator reads the ring again. Without it, it goes on with the old one.
    Refresh(usize),
    /// An HSM goes away or comes back with the credential that it had.
    Toggle(u8),
    /// The officer sets the password on one HSM, and the owner supplies it.
    Officer(u8),
}

struct Hsm {
    epoch: u64,
    op_id: String,
    password: u32,
}

#[derive(Clone, Default)]
struct Operator {
    view: Ring,
    /// The note beside the ring, as last read.
    noted: bool,
    version: u32,
    sessions: BTreeMap<HsmId, u64>,
    completed: Option<u64>,
}

struct World {
    ring: Ring,
    noted: bool,
    version: u32,
    is_supplied: bool,
    /// An operator has changed a password that the officer had set: what was supplied is used up.
    is_used_up: bool,
    officers_changes: u32,
    passwords: BTreeMap<u64, u32>,
    hsms: BTreeMap<HsmId, Hsm>,
    away: BTreeSet<HsmId>,
    operators: [Operator; 2],
    made: u32,
    failed_logins: u32,
}

impl World {
    fn new() -> Self {
        let first = RingEntry { epoch: 1, state: EntryState::Active, op_id: "create".to_owned() };
        let ring = Ring::new(vec![first]).unwrap();
        let hsm = |at| (id(at), Hsm { epoch: 1, op_id: "create".to_owned(), password: 0 });
        let operator = Operator { view: ring.clone(), ..Operator::default() };
        Self {
            noted: false,
            version: 0,
            is_supplied: false,
            is_used_up: false,
            officers_changes: 0,
            passwords: BTreeMap::from([(1, 0)]),
            hsms: (0..MEMBERS).map(hsm).collect(),
            away: BTreeSet::new(),
            operators: [operator.clone(), operator],
            made: 0,
            failed_logins: 0,
            ring,
        }
    }

    fn next(&self, operator: usize) -> RotationStep {
        let me = &self.operators[operator];
        let reachable = self.hsms.iter().filter(|(hsm_id, _)| !self.away.contains(*hsm_id));
        let seen = reachable.map(|(hsm_id, hsm)| HsmCredential {
            hsm_id: hsm_id.clone(),
            epoch: hsm.epoch,
            last_op_id: hsm.op_id.clone(),
            locked: false,
            session: me.sessions.get(hsm_id).copied(),
        });
        let hsms: Vec<_> = seen.collect();
        let supplied = match (self.is_supplied, me.noted) {
            (false, _) => Supplied::Nothing,
            (true, false) => Supplied::New,
            (true, true) => Supplied::Used,
        };
        next_step(&Rotation { ring: &me.view, hsms: &hsms, supplied, completed: me.completed })
    }

    /// Does the step; on a lost reply the operator remembers nothing of it.
    fn perform(&mut self, operator: usize, step: &RotationStep, reply_lost: bool) {
        let before = self.operators[operator].clone();
        match step {
            RotationStep::LogIn { hsm, with: Credential::Ring(epoch) } => {
                self.log_in(operator, hsm, self.passwords[epoch]);
            }
            RotationStep::LogIn { hsm, with: Credential::Supplied } => self.log_in(operator, hsm, OFFICERS),
            RotationStep::NoteSupplied => {
                let ring = self.operators[operator].view.clone();
                self.write(operator, Some(ring), None, true);
            }
            RotationStep::WriteIntent { epoch } => {
                let op_id = format!("operator-{operator}-{}", self.made);
                let ring = self.operators[operator].view.with_intent(*epoch, op_id);
                self.write(operator, ring, Some(*epoch), true);
            }
            RotationStep::ChangePassword { hsm, expected, new, op_id } => {
                self.change(operator, hsm, *expected, *new, op_id);
            }
            RotationStep::MarkActive { epoch } => {
                let ring = self.operators[operator].view.with_active(*epoch);
                if self.write(operator, ring, None, false) {
                    self.operators[operator].completed = Some(*epoch);
                }
            }
            RotationStep::Done { .. } | RotationStep::Fail(_) => {}
        }
        if reply_lost {
            self.operators[operator] = Operator { sessions: BTreeMap::new(), completed: None, ..before };
        }
    }

    fn log_in(&mut self, operator: usize, hsm_id: &HsmId, password: u32) {
        let hsm = &self.hsms[hsm_id];
        if password == hsm.password {
            self.operators[operator].sessions.insert(hsm_id.clone(), hsm.epoch);
        } else if self.is_used_up && self.operators[operator].version == self.version {
            // A supplied password that was not used anywhere may be wrong, and a ring that is out of date is a deposed leader's.
            self.failed_logins += 1;
        } else {
            assert_eq!(password, OFFICERS, "INV-26: the ring's password was refused");
        }
    }

    /// A conditional write: refused when the ring has changed since it was read.
    fn write(&mut self, operator: usize, ring: Option<Ring>, fresh_epoch: Option<u64>, with_note: bool) -> bool {
        let me = &mut self.operators[operator];
        let Some(ring) = ring.filter(|_| me.version == self.version) else { return false };
        if let Some(epoch) = fresh_epoch {
            self.made += 1;
            assert!(self.passwords.insert(epoch, self.made).is_none(), "INV-27: a second password for epoch {epoch}");
        }
        self.version += 1;
        self.noted |= self.is_supplied && with_note;
        self.ring = ring.clone();
        (me.view, me.noted, me.version) = (ring, self.noted, self.version);
        true
    }

    /// Compare and set, with the password that the operator's ring has for the new epoch; ends all other sessions.
    fn change(&mut self, operator: usize, hsm_id: &HsmId, expected: u64, new: u64, op_id: &str) {
        let session = self.operators[operator].sessions.get(hsm_id).copied();
        let password = self.passwords[&new];
        let Some(hsm) = self.hsms.get_mut(hsm_id).filter(|hsm| hsm.epoch == expected && session == Some(expected))
        else {
            return;
        };
        self.is_used_up |= hsm.password == OFFICERS;
        *hsm = Hsm { epoch: new, op_id: op_id.to_owned(), password };
        self.operators[1 - operator].sessions.remove(hsm_id);
    }

    /// What an officer does: any epoch above the HSM's, and everybody's session ends.
    fn officer(&mut self, at: u8) {
        let hsm_id = id(at);
        self.officers_changes += 1;
        let op_id = format!("officer-{}", self.officers_changes);
        let epoch = self.hsms[&hsm_id].epoch + 1;
        self.hsms.insert(hsm_id.clone(), Hsm { epoch, op_id, password: OFFICERS });
        self.is_supplied = true;
        for operator in &mut self.operators {
            operator.sessions.remove(&hsm_id);
        }
    }

    /// INV-24, INV-25: the password of every HSM, away or not, is in the stored ring under the HSM's epoch, or it is the officer's.
    fn check(&self) {
        assert_eq!(self.failed_logins, 0, "INV-26");
        for hsm in self.hsms.values().filter(|hsm| hsm.password != OFFICERS) {
            let entry = self.ring.set_by(hsm.epoch, &hsm.op_id);
            assert!(entry.is_some(), "INV-24: epoch {} is not in the ring", hsm.epoch);
            assert_eq!(self.passwords[&hsm.epoch], hsm.password, "INV-27");
        }
    }

    fn refresh(&mut self, operator: usize) {
        let me = &mut self.operators[operator];
        (me.view, me.noted, me.version) = (self.ring.clone(), self.noted, self.version);
    }
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0..2_usize, prop::bool::weighted(0.15)).prop_map(|(operator, reply_lost)| Happening::Step { operator, reply_lost }),
        1 => (0..2_usize).prop_map(Happening::Crash),
        2 => (0..2_usize).prop_map(Happening::Refresh),
        1 => (0..MEMBERS).prop_map(Happening::Toggle),
        1 => (0..MEMBERS).prop_map(Happening::Officer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// INV-24, INV-25, INV-26, INV-27 at every instant, INV-28 at the end.
    #[test]
    fn whatever_happens_the_password_of_every_hsm_is_known(happenings in prop::collection::vec(any_happening(), 0..80)) {
        let mut world = World::new();
        for happening in happenings {
            match happening {
                Happening::Step { operator, reply_lost } => {
                    let step = world.next(operator);
                    world.perform(operator, &step, reply_lost);
                }
                Happening::Crash(operator) => {
                    world.operators[operator] = Operator::default();
                    world.refresh(operator);
                }
                Happening::Refresh(operator) => world.refresh(operator),
                Happening::Toggle(at) => {
                    if !world.away.remove(&id(at)) {
                        world.away.insert(id(at));
                    }
                }
                Happening::Officer(at) => world.officer(at),
            }
            world.check();
        }
        finish(&mut world);
    }
}

/// With all HSMs back, one operator alone comes to an end: one epoch everywhere, above all that were, proved by sessions.
fn finish(world: &mut World) {
    world.away.clear();
    world.operators[0] = Operator::default();
    let highest_before = world.hsms.values().map(|hsm| hsm.epoch).max().unwrap_or_default();
    for _ in 0..40 {
        world.refresh(0);
        let step = world.next(0);
        assert_ne!(step, RotationStep::Fail(ConnectionErrorCode::InvalidCredentials));
        if let RotationStep::Done { epoch } = step {
            assert!(world.hsms.values().all(|hsm| hsm.epoch == epoch), "INV-28");
            assert!(
                world.operators[0].sessions.values().filter(|session| **session == epoch).count()
                    == usize::from(MEMBERS)
            );
            assert!(epoch >= highest_before);
            return;
        }
        world.perform(0, &step, false);
        world.check();
    }
    panic!("the rotation does not come to an end");
}
