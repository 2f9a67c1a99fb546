//! From three blank volumes to an active cluster (D6, D18, architecture "Initialisation order").

use crate::harness::Cluster;
use hsm_client::command::{HsmState, UserType};
use hsm_initialization::{Phase, Step, next_step, phase};
use std::collections::BTreeSet;

/// INV-01: three members with ids, identity keys and zones of their own, one cluster certificate, `kmsuser` on each.
#[tokio::test(flavor = "multi_thread")]
async fn three_blank_volumes_become_one_active_cluster() {
    let cluster = Cluster::active().await;
    let observed = cluster.observe().await;
    assert_eq!(next_step(&observed), Step::Done);
    assert_eq!(phase(&observed), Phase::Active);
    let volumes: Vec<_> = observed.hsms.iter().map(|hsm| hsm.volume.clone().expect("reachable")).collect();
    let distinct = |values: Vec<String>| values.into_iter().collect::<BTreeSet<_>>().len();
    assert_eq!(distinct(volumes.iter().filter_map(|volume| volume.hsm_id.clone()).collect()), 3);
    assert_eq!(distinct(volumes.iter().filter_map(|volume| volume.availability_zone.clone()).collect()), 3);
    assert_eq!(distinct(volumes.iter().map(|volume| hex::encode(volume.identity_fingerprint)).collect()), 3);
    let certificates = volumes.iter().filter_map(|volume| volume.cluster_certificate.clone());
    assert_eq!(distinct(certificates.collect()), 1);
    for hsm in &observed.hsms {
        let users = hsm.users.as_ref().expect("readable");
        let kmsuser = users.kmsuser.as_ref().expect("exists");
        assert_eq!((kmsuser.user_type, kmsuser.epoch, kmsuser.locked), (UserType::Cu, 1, false));
    }
    for index in 0..3 {
        cluster.kmsuser(index).await;
    }
}

/// INV-22, INV-23: whatever step a crash falls on, and on whichever side, the next observation finds the way on; a step
/// done twice is done once.
#[tokio::test(flavor = "multi_thread")]
async fn initialisation_survives_a_kill_and_a_repetition_at_every_step() {
    let mut cluster = Cluster::blank().await;
    let mut initializations = 0;
    loop {
        let observed = cluster.observe().await;
        let step = next_step(&observed);
        if step == Step::Done {
            break;
        }
        initializations += usize::from(matches!(step, Step::Initialize { .. }));
        cluster.record(&step, &observed);
        let performed = cluster.procedure().perform(&observed, &step).await;
        performed.unwrap_or_else(|error| panic!("{step:?}: {error:?}"));
        for index in 0..3 {
            cluster.restart(index);
        }
        // The same step again, decided from facts that are no longer true: it may be refused, and must do no harm.
        let _ = cluster.procedure().perform(&observed, &step).await;
    }
    assert_eq!(initializations, 1);
    for index in 0..3 {
        cluster.kmsuser(index).await;
        assert_eq!(cluster.session(index).await.identity().state, HsmState::Active);
    }
}

/// INV-08: what was initialised once is not initialised again, whoever asks.
#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_is_initialised_refuses_to_be_initialised_again() {
    let cluster = Cluster::active().await;
    let observed = cluster.observe().await;
    let initialize = Step::Initialize { pod: cluster.pods[0].files.pod_name.clone() };
    assert!(cluster.procedure().perform(&observed, &initialize).await.is_err());
    assert_eq!(
        cluster.observe().await.hsms[0].cluster_certificate_fingerprint(),
        observed.hsms[0].cluster_certificate_fingerprint()
    );
    cluster.kmsuser(0).await;
}
