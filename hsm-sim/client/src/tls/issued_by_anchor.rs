//! Whether a cluster certificate was issued by a trust anchor: version 3 through webpki, version 1 by hand.
//!
//! The CloudHSM guide's own openssl commands make a version 1 certificate with a common name only. webpki takes no
//! version 1 end entity, so that case is checked here with x509-parser: issuer name, signature, both validity periods.

use super::{TrustAnchor, provider};
use crate::pki::PkiError;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

/// Why a cluster certificate does not belong to a trust anchor (CKS-25, HSM-13).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterCertificateError {
    /// Not PEM or not X.509.
    #[error("failed to read the cluster certificate")]
    Malformed,
    /// No certificate of the anchor issued it.
    #[error("failed to verify the cluster certificate: it was not issued by the trust anchor")]
    NotIssuedByAnchor,
    /// The certificate or its issuer is not valid now.
    #[error("failed to verify the cluster certificate: it or its issuer has expired or is not valid yet")]
    NotValidNow,
}

/// Checks that `cluster_certificate` (PEM) was issued by `anchor` and that both are valid at `now`.
///
/// # Errors
/// [`ClusterCertificateError`]; a caller that answers AWS clients maps each to `IncorrectTrustAnchorException`.
pub fn verify_cluster_certificate(
    cluster_certificate: &str,
    anchor: &TrustAnchor,
    now: UnixTime,
) -> Result<(), ClusterCertificateError> {
    let der = CertificateDer::from_pem_slice(cluster_certificate.as_bytes())
        .map_err(|_| ClusterCertificateError::Malformed)?;
    verify_issued(&der, anchor, now)
}

/// SHA-256 of the cluster certificate's DER: equality of it is the lineage test (HSM-26), and claims are named by it
/// (P3).
///
/// # Errors
/// [`PkiError::Malformed`] when the text is not PEM of a certificate.
pub fn cluster_certificate_fingerprint(cluster_certificate: &str) -> Result<[u8; 32], PkiError> {
    crate::pki::certificate_fingerprint(cluster_certificate)
}

pub(super) fn verify_issued(
    der: &CertificateDer<'_>,
    anchor: &TrustAnchor,
    now: UnixTime,
) -> Result<(), ClusterCertificateError> {
    let certificate = parse(der)?;
    if certificate.version() == X509Version::V1 {
        return verify_version_1(&certificate, anchor, now);
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(anchor.certificates().iter().cloned());
    let parsed = ParsedCertificate::try_from(der).map_err(|_| ClusterCertificateError::Malformed)?;
    let algorithms = provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms).map_err(
        |source| match source {
            rustls::Error::InvalidCertificate(
                rustls::CertificateError::Expired
                | rustls::CertificateError::ExpiredContext { .. }
                | rustls::CertificateError::NotValidYet
                | rustls::CertificateError::NotValidYetContext { .. },
            ) => ClusterCertificateError::NotValidNow,
            _ => ClusterCertificateError::NotIssuedByAnchor,
        },
    )?;
    // webpki does not look at a root's own dates; version 1 and 3 must not differ in that.
    verify_issuer_dates(&certificate, anchor, now)
}

fn verify_version_1(
    certificate: &X509Certificate<'_>,
    anchor: &TrustAnchor,
    now: UnixTime,
) -> Result<(), ClusterCertificateError> {
    if !certificate.validity().is_valid_at(asn1_time(now)?) {
        return Err(ClusterCertificateError::NotValidNow);
    }
    verify_issuer_dates(certificate, anchor, now)
}

/// Finds the anchor's certificate that issued this one, by name and signature, and checks its dates.
fn verify_issuer_dates(
    certificate: &X509Certificate<'_>,
    anchor: &TrustAnchor,
    now: UnixTime,
) -> Result<(), ClusterCertificateError> {
    let now = asn1_time(now)?;
    let mut verdict = ClusterCertificateError::NotIssuedByAnchor;
    for issuer in anchor.certificates() {
        let issuer = parse(issuer)?;
        let issued = certificate.issuer().as_raw() == issuer.subject().as_raw()
            && certificate.verify_signature(Some(issuer.public_key())).is_ok();
        if issued && issuer.validity().is_valid_at(now) {
            return Ok(());
        }
        if issued {
            verdict = ClusterCertificateError::NotValidNow;
        }
    }
    Err(verdict)
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, ClusterCertificateError> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(ClusterCertificateError::Malformed),
    }
}

fn asn1_time(now: UnixTime) -> Result<ASN1Time, ClusterCertificateError> {
    let seconds = i64::try_from(now.as_secs()).map_err(|_| ClusterCertificateError::NotValidNow)?;
    ASN1Time::from_timestamp(seconds).map_err(|_| ClusterCertificateError::NotValidNow)
}
