//! Certificates that open nothing on the key port: each differs from a good one in one thing (HSM-11, D7).

use super::Target;
use super::intruder::{Forge, Papers, der, good, nested, unit};
use crate::harness::Cluster;
use hsm_client::pki::{CertificateAuthority, ClientRole};
use hsm_protocol::ReturnCode;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::CertificateDer;
use std::time::SystemTime;

/// What is wrong, and the certificate.
type Case = (&'static str, Option<Papers>);

/// Signed by the right authority, and wrong in itself.
fn spoilt(forge: &Forge) -> Vec<Case> {
    let with = |spoil: fn(&mut CertificateParams)| Some(forge.client(spoil));
    vec![
        ("expired", with(|p| p.not_after = rcgen::date_time_ymd(2020, 1, 1))),
        ("not yet valid", with(|p| p.not_before = rcgen::date_time_ymd(2090, 1, 1))),
        (
            "valid for no time",
            with(|p| {
                (p.not_before, p.not_after) = (rcgen::date_time_ymd(2030, 1, 1), rcgen::date_time_ymd(2020, 1, 1));
            }),
        ),
        ("for servers only", with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])),
        ("for code", with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning])),
        ("an authority itself", with(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        (
            "an unknown critical extension",
            with(|p| {
                let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![5, 0]);
                extension.set_criticality(true);
                p.custom_extensions.push(extension);
            }),
        ),
        (
            "no role",
            with(|p| {
                p.distinguished_name.remove(DnType::OrganizationalUnitName);
            }),
        ),
        ("an unknown role", with(|p| unit(p, "operators"))),
        ("an empty role", with(|p| unit(p, ""))),
        ("a role in capitals", with(|p| unit(p, "CONTROLLERS"))),
        ("a role with a space", with(|p| unit(p, "controllers "))),
        ("a role with a NUL", with(|p| unit(p, "controllers\0"))),
        ("two roles in one", with(|p| unit(p, "controllers,gateway"))),
        (
            "the role in the common name",
            with(|p| {
                p.distinguished_name = rcgen::DistinguishedName::new();
                p.distinguished_name.push(DnType::CommonName, "controllers");
            }),
        ),
        ("the role of the provisioning port", with(|p| unit(p, ClientRole::Provisioning.organizational_unit()))),
    ]
}

/// Chains and keys that do not belong together.
fn forged(forge: &Forge, cluster_certificate: CertificateDer<'static>) -> Vec<Case> {
    let (certificate, key) = forge.certify(|_| {});
    let other = KeyPair::generate().expect("key");
    let mut flipped = certificate.to_vec();
    *flipped.last_mut().expect("bytes") ^= 1;
    let mut renamed = certificate.to_vec();
    let name = renamed.windows(11).position(|bytes| bytes == b"controllers").expect("the role");
    renamed[name] = b'C';
    let end = KeyPair::generate().expect("key");
    let by_client = good().signed_by(&end, &Issuer::from_params(&good(), &key)).expect("signs").der().clone();
    vec![
        ("no certificate", None),
        ("an empty chain", Some(Papers::new(vec![], &key))),
        ("the key of another", Some(Papers::new(vec![certificate.clone()], &other))),
        ("a signature with one bit changed", Some(Papers::new(vec![flipped.into()], &key))),
        ("a role changed after signing", Some(Papers::new(vec![renamed.into()], &key))),
        ("half a certificate", Some(Papers::new(vec![certificate[..certificate.len() / 2].to_vec().into()], &key))),
        ("bytes that are no certificate", Some(Papers::new(vec![vec![0x30, 0x80].into()], &key))),
        (
            "a stranger's, with a good one behind it",
            Some(Papers::new(vec![self_signed(&other), certificate.clone()], &other)),
        ),
        ("self-signed", Some(Papers::new(vec![self_signed(&other)], &other))),
        ("the customer CA itself", Some(forge.itself())),
        ("issued by a client", Some(Papers::new(vec![by_client, certificate.clone()], &end))),
        ("the cluster certificate, without its key", Some(Papers::new(vec![cluster_certificate], &other))),
    ]
}

fn self_signed(key: &KeyPair) -> CertificateDer<'static> {
    good().self_signed(key).expect("signs").der().clone()
}

/// Good certificates of other authorities.
fn foreign(cluster: &Cluster, own: &Forge) -> Vec<Case> {
    // The same names as ours, so that only the key can tell.
    let twin = CertificateAuthority::generate_customer(&cluster.cluster_id, SystemTime::now()).expect("generates");
    let key = || KeyPair::from_pem(twin.key.expose()).expect("a key");
    let borrowed = Forge { certificate: own.certificate.clone(), key: key() };
    let twin = Forge { certificate: twin.certificate.clone(), key: key() };
    let operator = Forge::operator(cluster);
    let (end, end_key) = twin.certify(|_| {});
    let with_ours_behind = Papers::new(vec![end, der(&own.certificate)], &end_key);
    vec![
        ("of another authority with our authority's names", Some(twin.client(|_| {}))),
        ("of another authority, with ours behind it", Some(with_ours_behind)),
        ("naming our authority, signed by another", Some(borrowed.client(|_| {}))),
        ("of the operator CA", Some(operator.client(|_| {}))),
        ("of the operator CA, for provisioning", Some(operator.role(ClientRole::Provisioning))),
        ("of a pod", Some(Forge::pod(cluster).itself())),
    ]
}

pub(super) async fn only_a_certificate_of_the_customer_ca_with_a_role_is_answered(target: &Target) {
    let cluster = &target.cluster;
    let address = target.endpoint.address;
    let forge = Forge::customer(cluster);
    let mut control = nested(address, Some(&forge.client(|_| {}))).await.expect("both layers");
    assert_eq!(control.hello().await.expect("an answer"), ReturnCode::Success, "the control");
    let inner = control.stream.get_ref().1.peer_certificates().expect("the cluster certificate");
    let cluster_certificate = inner[0].clone().into_owned();
    let mut cases = spoilt(&forge);
    cases.extend(forged(&forge, cluster_certificate));
    cases.extend(foreign(cluster, &forge));
    for (what, papers) in &cases {
        // In TLS 1.3 the refusal arrives after our side of the handshake is done.
        let answered = match nested(address, papers.as_ref()).await {
            Ok(mut raw) => raw.hello().await.ok(),
            Err(_) => None,
        };
        assert_eq!(answered, None, "{what}");
        target.still_serves(what).await;
    }
    assert!(cases.len() >= 34, "{}", cases.len());
}
