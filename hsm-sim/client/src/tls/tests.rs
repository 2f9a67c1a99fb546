//! Tests of the trust anchor and of what it accepts as a cluster certificate (CKS-25, HSM-13).

use super::*;
use crate::pki::{CertificateAuthority, ClientRole, Issued};
use rustls::pki_types::UnixTime;
use std::time::{Duration, SystemTime};

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn customer_ca() -> Issued {
    CertificateAuthority::generate_customer("cluster-a", SystemTime::UNIX_EPOCH + NOW).expect("generates")
}

fn cluster_certificate(ca: &Issued) -> String {
    let root = CertificateAuthority::load(&ca.certificate, &ca.key).expect("loads");
    let key = rcgen::KeyPair::generate().expect("key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("request");
    root.sign_csr(&request.pem().expect("PEM"), SystemTime::UNIX_EPOCH + NOW).expect("signs")
}

fn anchor(ca: &Issued) -> TrustAnchor {
    TrustAnchor::parse(&ca.certificate).expect("an authority is a trust anchor")
}

fn verify(certificate: &str, anchor: &TrustAnchor, at: Duration) -> Result<(), ClusterCertificateError> {
    verify_cluster_certificate(certificate, anchor, UnixTime::since_unix_epoch(at))
}

#[test]
fn a_certificate_issued_by_the_anchor_is_accepted_and_anothers_is_not() {
    let (ours, theirs) = (customer_ca(), customer_ca());
    let certificate = cluster_certificate(&ours);
    assert_eq!(verify(&certificate, &anchor(&ours), NOW), Ok(()));
    assert_eq!(verify(&certificate, &anchor(&theirs), NOW), Err(ClusterCertificateError::NotIssuedByAnchor));
}

#[test]
fn an_anchor_of_two_certificates_accepts_what_either_issued() {
    let (old, new) = (customer_ca(), customer_ca());
    let both = TrustAnchor::parse(&format!("{}{}", old.certificate, new.certificate)).expect("parses");
    for ca in [&old, &new] {
        assert_eq!(verify(&cluster_certificate(ca), &both, NOW), Ok(()));
    }
}

#[test]
fn an_expired_or_future_certificate_is_refused() {
    let ca = customer_ca();
    let certificate = cluster_certificate(&ca);
    let eleven_years = Duration::from_secs(11 * 366 * 24 * 3600);
    for moment in [NOW + eleven_years, NOW - eleven_years] {
        assert_eq!(verify(&certificate, &anchor(&ca), moment), Err(ClusterCertificateError::NotValidNow));
    }
}

#[test]
fn a_certificate_that_is_not_one_is_malformed() {
    let ca = customer_ca();
    for text in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert_eq!(verify(text, &anchor(&ca), NOW), Err(ClusterCertificateError::Malformed), "{text}");
    }
}

#[test]
fn the_size_and_number_of_anchor_certificates_are_bounded() {
    let pem = customer_ca().certificate;
    let cases = [
        (" ".repeat(32 * 1024 + 1), TrustAnchorError::TooLong(32 * 1024 + 1)),
        (String::new(), TrustAnchorError::NoCertificate),
        ("no PEM at all".to_owned(), TrustAnchorError::NoCertificate),
        (pem.repeat(11), TrustAnchorError::TooManyCertificates),
        (pem[..pem.len() / 2].to_owned(), TrustAnchorError::DamagedPem),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), TrustAnchorError::NotACertificate(1)),
    ];
    for (text, expected) in cases {
        assert_eq!(TrustAnchor::parse(&text), Err(expected));
    }
    assert!(TrustAnchor::parse(&pem.repeat(10)).is_ok());
}

/// Spec 1.3 step 4: the signer must be the root itself.
#[test]
fn a_certificate_issued_by_someone_else_is_no_anchor() {
    let ca = customer_ca();
    let root = CertificateAuthority::load(&ca.certificate, &ca.key).expect("loads");
    let leaf = root.issue_client(ClientRole::Owner, "x", SystemTime::UNIX_EPOCH + NOW).expect("issues");
    let chain = format!("{}{}", ca.certificate, leaf.certificate);
    assert_eq!(TrustAnchor::parse(&chain), Err(TrustAnchorError::NotSelfSigned(2)));
}

#[test]
fn the_lineage_fingerprint_is_the_hash_of_the_certificate_and_not_of_its_text() {
    let certificate = cluster_certificate(&customer_ca());
    let spaced = format!("Certificate of the cluster:\n{certificate}\n");
    let print = |text: &str| cluster_certificate_fingerprint(text).expect("reads");
    assert_eq!(print(&certificate), print(&spaced));
}
