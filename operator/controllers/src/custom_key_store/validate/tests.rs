//! The checks that refuse a store, each with a cluster that breaks exactly one rule (SCN-18).

use super::*;
use operator_api::{
    CloudHsmClusterSpec, CloudHsmClusterStatus,
    cloud_hsm_cluster::{ClusterCertificates, ClusterState as Shown, Hsm, HsmState},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = params("customer");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

fn hsm(id: &str, zone: &str) -> Hsm {
    Hsm {
        hsm_id: id.into(),
        availability_zone: zone.into(),
        pod_name: "pod".into(),
        eni_ip: Some("10.0.0.1".into()),
        state: HsmState::Active,
        state_message: None,
        identity_fingerprint: "ab".repeat(32),
        host_certificate_fingerprint: Some("cd".repeat(32)),
        client_port: 2223,
        peer_port: 2224,
    }
}

fn cluster(authority: &Authority) -> CloudHsmCluster {
    let zones = vec!["local-1a".into(), "local-1b".into()];
    let mut cluster =
        CloudHsmCluster::new("c", CloudHsmClusterSpec { availability_zones: zones, ..CloudHsmClusterSpec::default() });
    let certificate = params("cluster").signed_by(&KeyPair::generate().unwrap(), &authority.issuer).unwrap().pem();
    cluster.status = Some(CloudHsmClusterStatus {
        state: Some(Shown::Active),
        hsms: vec![hsm("hsm-a", "local-1a"), hsm("hsm-b", "local-1b")],
        certificates: Some(ClusterCertificates { cluster_certificate: Some(certificate), ..Default::default() }),
        ..CloudHsmClusterStatus::default()
    });
    cluster
}

fn check(cluster: Option<&CloudHsmCluster>, anchor: &str, taken: Taken) -> Result<(), &'static str> {
    creation(cluster, Some(anchor), taken, 0, false, UnixTime::now()).map_err(|refused| refused.reason())
}

#[test]
fn a_sound_cluster_is_accepted() {
    let authority = authority();
    assert_eq!(check(Some(&cluster(&authority)), &authority.pem, Taken::default()), Ok(()));
    assert_eq!(connect(Some(&cluster(&authority))), Ok(()));
}

#[test]
fn every_broken_rule_of_a_create_has_its_exception() {
    let (right, wrong) = (authority(), authority());
    let broken = |change: fn(&mut CloudHsmClusterStatus)| {
        let mut cluster = cluster(&right);
        change(cluster.status.as_mut().unwrap());
        check(Some(&cluster), &right.pem, Taken::default())
    };
    let taken = |name, lineage| check(Some(&cluster(&right)), &right.pem, Taken { name, lineage });
    assert_eq!(check(None, &right.pem, Taken::default()), Err("CloudHsmClusterNotFoundException"));
    assert_eq!(taken(true, false), Err("CustomKeyStoreNameInUseException"));
    assert_eq!(taken(false, true), Err("CloudHsmClusterInUseException"));
    assert_eq!(broken(|status| status.state = Some(Shown::Degraded)), Err("CloudHsmClusterNotActiveException"));
    assert_eq!(broken(|status| status.state = None), Err("CloudHsmClusterNotActiveException"));
    let invalid = Err("CloudHsmClusterInvalidConfigurationException");
    assert_eq!(broken(|status| status.hsms.truncate(1)), invalid);
    assert_eq!(broken(|status| status.hsms[1].availability_zone = "local-1a".into()), invalid);
    assert_eq!(check(Some(&cluster(&right)), &wrong.pem, Taken::default()), Err("IncorrectTrustAnchorException"));
    assert_eq!(check(Some(&cluster(&right)), "no PEM", Taken::default()), Err("IncorrectTrustAnchorException"));
}

/// D5, D8: its old keys are used from the one HSM that is there; the anchor is verified as for a new store (CKS-2).
#[test]
fn a_restored_store_comes_back_while_one_zone_is_away() {
    let (right, wrong) = (authority(), authority());
    let mut cluster = cluster(&right);
    cluster.status.as_mut().unwrap().hsms.truncate(1);
    let check = |anchor: &str, restored| {
        let checked = creation(Some(&cluster), Some(anchor), Taken::default(), 0, restored, UnixTime::now());
        checked.map_err(|refused| refused.reason())
    };
    assert_eq!(check(&right.pem, true), Ok(()));
    assert_eq!(check(&right.pem, false), Err("CloudHsmClusterInvalidConfigurationException"));
    assert_eq!(check(&wrong.pem, true), Err("IncorrectTrustAnchorException"));
}

/// D8: to connect one active HSM is enough; a missing cluster is a late failure (spec 2.6).
#[test]
fn a_connect_needs_less_than_a_create() {
    let mut cluster = cluster(&authority());
    cluster.status.as_mut().unwrap().hsms.truncate(1);
    assert_eq!(connect(Some(&cluster)), Ok(()));
    assert_eq!(connect(None), Ok(()));
    cluster.status.as_mut().unwrap().hsms[0].state = HsmState::Degraded;
    let refused = connect(Some(&cluster)).map_err(|refused| refused.reason());
    assert_eq!(refused, Err("CloudHsmClusterInvalidConfigurationException"));
}

#[test]
fn a_secret_that_may_not_be_read_says_which_binding_is_missing() {
    let problem = SecretProblem::Forbidden { secret: "anchor".into(), controllers: "keystore-system".into() };
    let refused = NotAccepted::from(problem);
    assert_eq!(refused.reason(), "MissingTenantBinding");
    assert!(refused.to_string().contains("anchor") && refused.to_string().contains("keystore-system"));
}
