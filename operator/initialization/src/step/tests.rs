//! Tests of the decision: the order of a whole initialisation, what a lost volume leads to, and where automation stops.

mod world;

use super::*;
use crate::plan::RecordedHsm;
use hsm_client::pki::CertificateAuthority;
use hsm_client::provisioning::VolumeIdentity;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::SystemTime;
use world::{CLUSTER, World, fingerprint};

fn is_initialize(step: &Step) -> bool {
    matches!(step, Step::Initialize { .. })
}

#[test]
fn a_blank_cluster_becomes_active_in_the_documented_order() {
    let mut world = World::new();
    let mut phases = vec![phase(&world.observed)];
    loop {
        let step = next_step(&world.observed);
        if step == Step::Done {
            break;
        }
        world.apply(&step);
        phases.push(phase(&world.observed));
    }
    assert!(phases.is_sorted(), "{phases:?}");
    phases.dedup();
    let all =
        [Phase::CreateInProgress, Phase::Uninitialized, Phase::InitializeInProgress, Phase::Initialized, Phase::Active];
    assert_eq!(phases, all);
}

/// D18: exactly one HSM is initialised, in the lowest zone; the others only ever join.
#[test]
fn only_the_hsm_in_the_lowest_zone_is_initialised() {
    let steps = World::new().run();
    let initialized: Vec<_> = steps.iter().filter(|step| is_initialize(step)).collect();
    assert_eq!(initialized, [&Step::Initialize { pod: format!("{CLUSTER}-1") }]);
    assert_eq!(steps.last(), Some(&Step::Done));
}

#[test]
fn passwords_are_kept_before_an_hsm_learns_them() {
    let steps = World::new().run();
    let at = |wanted: fn(&Step) -> bool| steps.iter().position(wanted).expect("happens");
    assert!(at(|step| *step == Step::MakeOfficer) < at(is_initialize));
    assert!(at(|step| matches!(step, Step::RecordIntent(_))) < at(is_initialize));
    let create = at(|step| matches!(step, Step::CreateKmsUser { .. }));
    assert!(at(|step| *step == Step::MakeRing) < create);
    assert!(create < at(|step| matches!(step, Step::Join { .. })));
}

#[test]
fn nothing_is_chosen_while_a_pod_has_no_node() {
    let mut world = World::new();
    world.observed.hsms[1].pod.availability_zone = None;
    world.observed.hsms[1].volume = None;
    let steps = world.run();
    assert!(!steps.iter().any(|step| matches!(step, Step::RecordIntent(_))));
    assert_eq!(steps.last(), Some(&Step::Wait(Waiting::Pods(vec![format!("{CLUSTER}-1")]))));
}

/// INV-08: an emptied member joins again under a new id; nothing is initialised again.
#[test]
fn a_member_with_a_new_volume_joins_again_under_a_new_id() {
    let mut world = World::new();
    world.run();
    for index in 0..3 {
        let before = world.observed.hsms[index].volume.clone().expect("reachable");
        world.insert_empty_volume(index);
        let steps = world.run();
        assert!(!steps.iter().any(is_initialize));
        assert_eq!(steps.last(), Some(&Step::Done));
        let after = world.observed.hsms[index].volume.clone().expect("reachable");
        assert_ne!(after.hsm_id, before.hsm_id);
        assert_eq!(after.state, HsmState::Active);
    }
}

#[test]
fn a_cluster_whose_volumes_are_all_empty_is_never_initialised_again() {
    let mut world = World::new();
    world.run();
    for index in 0..3 {
        world.insert_empty_volume(index);
    }
    let steps = world.run();
    assert!(!steps.iter().any(is_initialize));
    assert_eq!(steps.last(), Some(&Step::Blocked(Blocked::Emptied)));
}

/// The chosen HSM may have been initialised before its volume went: nobody can know.
#[test]
fn when_the_chosen_hsm_loses_its_volume_before_the_fingerprint_is_recorded_a_person_decides() {
    let mut world = World::new();
    while !matches!(next_step(&world.observed), Step::Initialize { .. }) {
        let step = next_step(&world.observed);
        world.apply(&step);
    }
    world.insert_empty_volume(1);
    assert_eq!(world.run().last(), Some(&Step::Blocked(Blocked::Emptied)));
    world.observed.hsms[1].volume = None;
    let waiting = Step::Wait(Waiting::Pods(vec![format!("{CLUSTER}-1")]));
    assert_eq!(next_step(&world.observed), waiting, "while it is silent it may still come back");
}

/// The reply of Initialize was lost: the volume shows that it happened.
#[test]
fn an_initialisation_whose_reply_was_lost_is_found_and_not_repeated() {
    let mut world = World::new();
    loop {
        let step = next_step(&world.observed);
        world.apply(&step);
        if is_initialize(&step) {
            break;
        }
    }
    assert_eq!(next_step(&world.observed), Step::RecordClusterCertificate { fingerprint: fingerprint() });
}

#[test]
fn a_member_that_is_down_stays_in_the_roster() {
    let mut world = World::new();
    world.run();
    world.observed.plan.recorded.hsms = world
        .observed
        .members()
        .into_iter()
        .zip(&world.observed.plan.pods)
        .map(|(member, _)| {
            let holder =
                world.observed.hsms.iter().find(|hsm| {
                    hsm.volume.as_ref().is_some_and(|volume| volume.hsm_id.as_ref() == Some(&member.hsm_id))
                });
            RecordedHsm {
                pod_name: holder.expect("is planned").pod.pod_name.clone(),
                hsm_id: member.hsm_id,
                availability_zone: member.availability_zone,
                identity_fingerprint: member.identity_fingerprint,
                peer_address: member.peer_address,
            }
        })
        .collect();
    let before = world.observed.members();
    world.observed.hsms[2].volume = None;
    assert_eq!(world.observed.members(), before);
    assert_eq!(world.observed.roster_due(), None);
}

/// An HSM takes only a higher version than its own: what two partitions in a row left under one version is replaced for all.
#[test]
fn two_rosters_of_one_version_are_both_replaced_by_a_higher_one() {
    let mut world = World::new();
    world.run();
    let pods: Vec<_> = world.observed.hsms.iter().map(|hsm| hsm.pod.pod_name.clone()).collect();
    let version = world.volume(&pods[0]).roster_version;
    world.volume(&pods[2]).roster_digest = vec![9; 32];
    let due = world.observed.roster_due().expect("a roster is due");
    assert_eq!((due.version, due.pods), (version + 1, pods));
}

/// Spec 2.7: `USER_NOT_FOUND` has to be possible. On one HSM only, a missing user is a gap to close.
#[test]
fn kmsuser_is_restored_where_it_is_missing_but_not_after_its_owner_deleted_it_everywhere() {
    let mut world = World::new();
    world.run();
    let pod = format!("{CLUSTER}-2");
    world.users(&pod).as_mut().expect("active").kmsuser = None;
    assert_eq!(next_step(&world.observed), Step::CreateKmsUser { pod });
    for hsm in &mut world.observed.hsms {
        hsm.users.as_mut().expect("active").kmsuser = None;
    }
    assert_eq!(next_step(&world.observed), Step::Done);
}

#[test]
fn a_lost_secret_stops_automation_instead_of_being_replaced() {
    for name in [SecretName::OperatorAuthority, SecretName::SealingShare, SecretName::CustomerAuthority] {
        let mut world = World::new();
        world.run();
        world.observed.secrets.remove(&name);
        assert_eq!(next_step(&world.observed), Step::Blocked(Blocked::SecretLost(name)));
    }
}

#[test]
fn a_volume_of_another_cluster_zone_or_lineage_stops_automation() {
    let mut finished = World::new();
    finished.run();
    let pod = format!("{CLUSTER}-0");
    let changes: [fn(&mut VolumeIdentity); 3] = [
        |volume| volume.cluster_id = Some("cluster-bbbbbbbbbbbbbbbb".into()),
        |volume| volume.availability_zone = Some("local-1x".into()),
        |volume| {
            let other = CertificateAuthority::generate_operator("other", SystemTime::now());
            volume.cluster_certificate = Some(other.expect("generates").certificate);
        },
    ];
    for change in changes {
        let mut world = World { observed: finished.observed.clone(), serial: finished.serial };
        change(world.volume(&pod));
        assert!(matches!(next_step(&world.observed), Step::Blocked(_)));
    }
}

proptest! {
    /// INV-08, D18: whatever is lost, falls silent or comes back between any two steps, one HSM at most is ever
    /// initialised, no HSM id is given out twice, and once everything answers again the procedure ends.
    #[test]
    fn no_order_of_losses_initialises_twice(events in prop::collection::vec((0u8..8, 0usize..3), 1..80)) {
        let mut world = World::new();
        let mut silent: [Option<ObservedHsm>; 3] = [None, None, None];
        let (mut initializations, mut ids) = (0, BTreeSet::new());
        for (event, index) in events {
            match event {
                0 if silent[index].is_none() => world.insert_empty_volume(index),
                1 if silent[index].is_none() => {
                    silent[index] = Some(world.observed.hsms[index].clone());
                    world.observed.hsms[index].volume = None;
                    world.observed.hsms[index].users = None;
                }
                2 => {
                    if let Some(hsm) = silent[index].take() {
                        world.observed.hsms[index] = hsm;
                    }
                }
                _ => {
                    let step = next_step(&world.observed);
                    if matches!(step, Step::Wait(_) | Step::Blocked(_) | Step::Done) {
                        continue;
                    }
                    initializations += usize::from(is_initialize(&step));
                    world.apply(&step);
                    if let Step::Assign { pod } = &step {
                        prop_assert!(ids.insert(world.volume(pod).hsm_id.clone()));
                    }
                }
            }
            prop_assert!(initializations <= 1);
        }
        for (index, hsm) in silent.into_iter().enumerate() {
            if let Some(hsm) = hsm {
                world.observed.hsms[index] = hsm;
            }
        }
        let end = world.run();
        prop_assert!(matches!(end.last(), Some(Step::Done | Step::Blocked(Blocked::Emptied))));
        prop_assert!(initializations + end.iter().filter(|step| is_initialize(step)).count() <= 1);
    }
}
