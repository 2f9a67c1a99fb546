//! The rows of 2.3 and 2.6 one by one, and that the first of several faults is the one reported.

use super::*;
use strum::IntoEnumIterator;

fn zones(names: &[&str]) -> HsmZones {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn good_cluster() -> ClusterFacts {
    ClusterFacts {
        state: ClusterState::Active,
        subnet_zones: 3,
        security_group_open: true,
        active_hsms: zones(&["a", "b", "c"]),
    }
}

fn good() -> CreateFacts {
    let cluster = Some(good_cluster());
    CreateFacts {
        restored: false,
        name_in_use: false,
        stores: 0,
        cluster,
        cluster_in_use: false,
        trust_anchor_fits: true,
    }
}

type Fault = fn(&mut CreateFacts);

/// Rows 3 to 9 of spec 2.3, in their order.
const FAULTS: [(&str, Fault); 9] = [
    ("CustomKeyStoreNameInUseException", |facts| facts.name_in_use = true),
    ("LimitExceededException", |facts| facts.stores = 10),
    ("CloudHsmClusterNotFoundException", |facts| facts.cluster = None),
    ("CloudHsmClusterInUseException", |facts| facts.cluster_in_use = true),
    ("CloudHsmClusterNotActiveException", |facts| cluster(facts, |c| c.state = ClusterState::Degraded)),
    ("CloudHsmClusterInvalidConfigurationException", |facts| cluster(facts, |c| c.subnet_zones = 1)),
    ("CloudHsmClusterInvalidConfigurationException", |facts| cluster(facts, |c| c.security_group_open = false)),
    ("CloudHsmClusterInvalidConfigurationException", |facts| cluster(facts, |c| c.active_hsms = zones(&["a", "a"]))),
    ("IncorrectTrustAnchorException", |facts| facts.trust_anchor_fits = false),
];

fn cluster(facts: &mut CreateFacts, fault: fn(&mut ClusterFacts)) {
    if let Some(cluster) = facts.cluster.as_mut() {
        fault(cluster);
    }
}

#[test]
fn a_store_on_a_good_cluster_is_accepted() {
    assert_eq!(create(&good()), Ok(()));
    assert_eq!(create(&CreateFacts { stores: 9, ..good() }), Ok(()));
}

#[test]
fn each_row_of_2_3_refuses_with_its_exception_scn_18() {
    for (exception, fault) in FAULTS {
        let mut facts = good();
        fault(&mut facts);
        assert_eq!(create(&facts).unwrap_err().exception.as_str(), exception);
    }
}

/// D5: what a store comes back to is its own name, its own HSMs and its own anchor, or it does not come back.
#[test]
fn a_restored_store_is_spared_nothing_but_the_second_zone() {
    for (exception, fault) in FAULTS {
        let (mut new, mut restored) = (good(), CreateFacts { restored: true, ..good() });
        fault(&mut new);
        fault(&mut restored);
        let one_zone = new.cluster.as_ref().is_some_and(|cluster| cluster.active_hsms.zones() == 1);
        let expected = if one_zone { Ok(()) } else { Err(exception) };
        assert_eq!(create(&restored).map_err(|refusal| refusal.exception.as_str()), expected);
    }
}

#[test]
fn of_two_faults_the_first_row_of_2_3_is_reported() {
    for (first, (exception, fault)) in FAULTS.into_iter().enumerate() {
        for (_, later_fault) in FAULTS.into_iter().skip(first + 1) {
            let mut facts = good();
            later_fault(&mut facts);
            fault(&mut facts);
            assert_eq!(create(&facts).unwrap_err().exception.as_str(), exception);
        }
    }
}

#[test]
fn only_the_state_active_is_active_hsm_1() {
    for state in ClusterState::iter() {
        let facts = ClusterFacts { state, ..good_cluster() };
        let answer = connect(Some(&facts)).map_err(|refusal| refusal.exception);
        let expected = if state == ClusterState::Active { Ok(()) } else { Err(Exception::CloudHsmClusterNotActive) };
        assert_eq!(answer, expected, "{state:?}");
    }
}

#[test]
fn connecting_and_coming_back_need_one_active_hsm_and_creating_needs_two_zones_d8() {
    let table: [(&[&str], bool, bool); 5] = [
        (&[], false, false),
        (&["a"], true, false),
        (&["a", "a"], true, false),
        (&["a", "b"], true, true),
        (&["a", "b", "c"], true, true),
    ];
    for (hsms, connects, creates) in table {
        let facts = ClusterFacts { active_hsms: zones(hsms), ..good_cluster() };
        assert_eq!(connect(Some(&facts)).is_ok(), connects, "{hsms:?}");
        assert_eq!(create_key(&facts.active_hsms).is_ok(), creates, "{hsms:?}");
        for (restored, accepted) in [(true, connects), (false, creates)] {
            let facts = CreateFacts { restored, cluster: Some(facts.clone()), ..good() };
            assert_eq!(create(&facts).is_ok(), accepted, "{hsms:?}, restored: {restored}");
        }
    }
    let empty = ClusterFacts { active_hsms: zones(&[]), ..good_cluster() };
    let refusal = connect(Some(&empty)).unwrap_err();
    assert_eq!(refusal.exception.as_str(), "CloudHsmClusterInvalidConfigurationException", "X-11");
}

#[test]
fn a_missing_cluster_is_no_fast_failure_of_connect() {
    assert_eq!(connect(None), Ok(()));
}
