//! Tests of the authorities and of what they issue.

use super::*;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn authority(issued: &Issued) -> CertificateAuthority {
    CertificateAuthority::load(&issued.certificate, &issued.key).expect("a fresh authority loads")
}

fn der(pem: &str) -> Vec<u8> {
    x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM").1.contents
}

/// Spec 1.3 step 4: RSA 2048 or 4096, Basic Constraints present, self-signed.
#[test]
fn the_customer_ca_is_a_self_signed_rsa_authority_with_basic_constraints() {
    let issued = CertificateAuthority::generate_customer("cluster-a", now()).expect("generates");
    let der = der(&issued.certificate);
    let (_, certificate) = X509Certificate::from_der(&der).expect("X.509");
    assert!(certificate.is_ca());
    assert!(certificate.verify_signature(None).is_ok());
    assert_eq!(certificate.version(), x509_parser::x509::X509Version::V3);
    let x509_parser::public_key::PublicKey::RSA(key) = certificate.public_key().parsed().expect("key") else {
        panic!("not RSA")
    };
    assert_eq!(key.key_size(), 2048);
}

#[test]
fn a_client_certificate_carries_its_role_as_organisational_unit() {
    let root = authority(&CertificateAuthority::generate_operator("cluster-a", now()).expect("generates"));
    for role in ClientRole::ALL {
        let issued = root.issue_client(role, "someone", now()).expect("issues");
        let der = der(&issued.certificate);
        let (_, certificate) = X509Certificate::from_der(&der).expect("X.509");
        let units: Vec<_> =
            certificate.subject().iter_organizational_unit().map(|unit| unit.as_str().expect("text")).collect();
        assert_eq!(units, [role.organizational_unit()]);
        assert!(!certificate.is_ca());
    }
}

/// A request must not be able to ask for an authority of its own (spec 1.3: no intermediates).
#[test]
fn signing_a_request_keeps_its_key_and_drops_the_extensions_it_asked_for() {
    let root = authority(&CertificateAuthority::generate_customer("cluster-a", now()).expect("generates"));
    let key = rcgen::KeyPair::generate().expect("key");
    let mut wanted = rcgen::CertificateParams::default();
    wanted.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    wanted.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let request = wanted.serialize_request(&key).expect("request").pem().expect("PEM");
    let signed = root.sign_csr(&request, now()).expect("signs");
    let der = der(&signed);
    let (_, certificate) = X509Certificate::from_der(&der).expect("X.509");
    assert!(!certificate.is_ca());
    assert!(!certificate.key_usage().expect("parses").expect("present").value.key_cert_sign());
    assert_eq!(certificate.public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&key));
}

#[test]
fn a_request_that_is_damaged_or_endless_is_refused() {
    let root = authority(&CertificateAuthority::generate_customer("cluster-a", now()).expect("generates"));
    let key = rcgen::KeyPair::generate().expect("key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("request").pem().expect("PEM");
    let endless = format!("{request}{}", "x".repeat(20_000));
    // Lines 4 to 5 hold subject and key: a changed letter there breaks the request's own signature.
    let forged = request.replacen(&request[120..124], "AAAA", 1);
    for bad in ["", "-----BEGIN CERTIFICATE REQUEST-----", &endless, &forged] {
        assert!(matches!(root.sign_csr(bad, now()), Err(PkiError::Malformed { .. })), "{bad}");
    }
}

#[test]
fn an_authority_does_not_load_with_another_authoritys_key() {
    let one = CertificateAuthority::generate_operator("cluster-a", now()).expect("generates");
    let other = CertificateAuthority::generate_operator("cluster-b", now()).expect("generates");
    assert!(CertificateAuthority::load(&one.certificate, &other.key).is_err());
    assert!(CertificateAuthority::load("nonsense", &one.key).is_err());
}

#[test]
fn expiry_is_the_end_of_the_validity_period() {
    let root = authority(&CertificateAuthority::generate_operator("cluster-a", now()).expect("generates"));
    let lifetime = Duration::from_secs(90 * 24 * 3600);
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issued = root.issue_server(&names, now(), lifetime).expect("issues");
    assert_eq!(expiry(&issued.certificate).expect("reads"), now() + lifetime);
    assert!(expiry("nonsense").is_err());
}

#[test]
fn a_private_key_that_is_not_pem_is_refused_without_repeating_it() {
    let text = "hunter2-not-a-key";
    let Err(error) = PrivateKeyPem::parse(Zeroizing::new(text.into())) else { panic!("accepted") };
    assert!(!error.to_string().contains(text));
}

#[test]
fn renewing_a_certificate_for_another_key_changes_the_public_key_fingerprint() {
    let root = authority(&CertificateAuthority::generate_operator("cluster-a", now()).expect("generates"));
    let one = root.issue_client(ClientRole::Gateway, "gateway", now()).expect("issues");
    let two = root.issue_client(ClientRole::Gateway, "gateway", now()).expect("issues");
    let print = |issued: &Issued| public_key_fingerprint(&issued.certificate).expect("reads");
    assert_ne!(print(&one), print(&two));
    assert_eq!(print(&one), print(&one));
}

/// Architecture, "Roles of client certificates": delegates bind to the public key.
#[test]
fn renewing_a_client_certificate_keeps_its_key_and_its_role() {
    let root = authority(&CertificateAuthority::generate_customer("cluster-a", now()).expect("generates"));
    let first = root.issue_client(ClientRole::Gateway, "gateway", now()).expect("issues");
    let later = now() + Duration::from_secs(300 * 24 * 3600);
    let second = root
        .renew_client(ClientRole::Gateway, "gateway", &first.key, later, Duration::from_secs(365 * 24 * 3600))
        .expect("renews");
    let fingerprint = |pem: &str| public_key_fingerprint(pem).expect("reads");
    assert_eq!(fingerprint(&first.certificate), fingerprint(&second));
    assert!(expiry(&second).expect("reads") > expiry(&first.certificate).expect("reads"));
}

#[test]
fn a_certificate_survives_the_way_from_pem_to_der_and_back() {
    let issued = CertificateAuthority::generate_operator("cluster-a", now()).expect("generates");
    let again = super::inspect::certificate_pem(&der(&issued.certificate));
    assert_eq!(
        certificate_fingerprint(&again).expect("reads"),
        certificate_fingerprint(&issued.certificate).expect("reads")
    );
}
