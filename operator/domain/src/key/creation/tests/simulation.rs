//! Simulated HSMs, an object with conditional writes, and a controller that may crash before, in and after every step.

use crate::identifier::{HsmId, KeyId};
use crate::key::creation::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const MEMBERS: u8 = 3;

fn id(at: u8) -> HsmId {
    HsmId::from_random([at; 10])
}

/// What happens around one reconcile.
#[derive(Clone, Copy, Debug)]
enum Weather {
    /// The step is done and its reply seen.
    Fine,
    /// The controller dies before the step.
    CrashBefore,
    /// A copy reaches only the first of its targets.
    CrashWithin,
    /// An HSM goes away, or comes back with what it had.
    Toggle(u8),
    /// The cluster object comes back without its status: nobody knows of the HSMs that are away.
    LoseStatus,
}

#[derive(Default)]
struct World {
    finalizer: bool,
    key_id: Option<KeyId>,
    intent: Option<Intent>,
    fingerprint: Option<Fingerprint>,
    materials: BTreeMap<HsmId, Fingerprint>,
    away: BTreeSet<HsmId>,
    /// Not in the cluster's status: it was away when the cluster object came back without one.
    forgotten: BTreeSet<HsmId>,
    generated: Vec<Fingerprint>,
}

impl World {
    fn facts(&self) -> CreationFacts {
        let reachable = (0..MEMBERS).map(id).filter(|hsm| !self.away.contains(hsm)).count();
        let refusal = crate::connection::precondition::create_key(
            &(0..MEMBERS).filter(|at| !self.away.contains(&id(*at))).map(zone).collect(),
        );
        CreationFacts {
            uid: "uid".to_owned(),
            namespace: "team".to_owned(),
            has_finalizer: self.finalizer,
            key_id: self.key_id,
            intent: self.intent.clone(),
            fingerprint: self.fingerprint,
            preconditions: refusal,
            adoption: Adoption::from_answers(usize::from(MEMBERS), reachable, None),
            original: None,
            hsms: (0..MEMBERS).filter(|at| !self.forgotten.contains(&id(*at))).map(|at| self.member(at)).collect(),
            hsms_are_all_known: self.forgotten.is_empty(),
        }
    }

    fn member(&self, at: u8) -> HsmFacts {
        let record = match self.materials.get(&id(at)) {
            _ if self.away.contains(&id(at)) => HsmRecord::Unknown,
            None => HsmRecord::Absent,
            Some(fingerprint) => HsmRecord::Present(KeyRecord {
                fingerprint: *fingerprint,
                op_id: "op".to_owned(),
                namespace: "team".to_owned(),
                conflict: false,
            }),
        };
        HsmFacts { hsm_id: id(at), zone: zone(at), record }
    }

    fn perform(&mut self, step: &CreationStep, only_first: bool) {
        match step {
            CreationStep::AddFinalizer => self.finalizer = true,
            CreationStep::WriteIntent { hsm } => {
                self.key_id = Some(KeyId::from_random([7; 16]));
                self.intent = Some(Intent { uid: "uid".to_owned(), op_id: "op".to_owned(), hsm_id: Some(hsm.clone()) });
            }
            CreationStep::Generate { hsm, .. } => {
                assert!(!self.away.contains(hsm), "an HSM that is away was asked");
                let fresh = [u8::try_from(self.generated.len()).unwrap_or(u8::MAX); 32];
                if !self.materials.contains_key(hsm) {
                    self.generated.push(fresh);
                    self.materials.insert(hsm.clone(), fresh);
                }
            }
            CreationStep::Copy { from, to } => {
                let material = self.materials[from];
                for target in to.iter().take(if only_first { 1 } else { to.len() }) {
                    assert_eq!(*self.materials.entry(target.clone()).or_insert(material), material);
                }
            }
            CreationStep::WriteFingerprint(fingerprint) => self.fingerprint = Some(*fingerprint),
            CreationStep::Done | CreationStep::Wait | CreationStep::Stop(_) => {}
        }
    }
}

fn zone(at: u8) -> crate::identifier::ZoneName {
    ["a", "b", "c"][usize::from(at)].parse().unwrap()
}

fn any_weather() -> impl Strategy<Value = Weather> {
    prop_oneof![
        4 => Just(Weather::Fine),
        1 => Just(Weather::CrashBefore),
        1 => Just(Weather::CrashWithin),
        2 => (0..MEMBERS).prop_map(Weather::Toggle),
        1 => Just(Weather::LoseStatus),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// INV-01, INV-19, INV-21: one material ever, acknowledged only when durable, and the end is always reached.
    #[test]
    fn whatever_crashes_one_key_is_made_and_acknowledged_only_on_two_hsms(weather in prop::collection::vec(any_weather(), 0..40)) {
        let mut world = World::default();
        for now in weather {
            let step = next_step(&world.facts());
            match now {
                Weather::Fine => world.perform(&step, false),
                Weather::CrashBefore => {}
                Weather::CrashWithin => world.perform(&step, true),
                Weather::Toggle(at) => {
                    if world.away.remove(&id(at)) {
                        world.forgotten.remove(&id(at));
                    } else {
                        world.away.insert(id(at));
                    }
                }
                Weather::LoseStatus => world.forgotten.clone_from(&world.away),
            }
            prop_assert!(world.generated.len() <= 1, "INV-19: two materials");
            if world.fingerprint.is_some() {
                prop_assert!(world.materials.len() >= 2, "INV-01: acknowledged on {} HSMs", world.materials.len());
            }
        }
        world.away.clear();
        world.forgotten.clear();
        for _ in 0..10 {
            let step = next_step(&world.facts());
            world.perform(&step, false);
        }
        prop_assert_eq!(next_step(&world.facts()), CreationStep::Done);
        prop_assert_eq!(world.generated.len(), 1);
        prop_assert_eq!(world.materials.len(), usize::from(MEMBERS));
        prop_assert_eq!(world.fingerprint, world.generated.first().copied());
    }
}
