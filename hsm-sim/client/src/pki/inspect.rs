//! Reading certificates: expiry, fingerprints.

use super::PkiError;
use aws_lc_rs::digest;
use base64::Engine;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::time::{Duration, SystemTime};

/// Until when a PEM certificate is valid.
///
/// # Errors
/// [`PkiError::Malformed`] when it is not a certificate.
pub fn expiry(certificate: &str) -> Result<SystemTime, PkiError> {
    let der = certificate_der(certificate)?;
    let parsed = parse(&der)?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp())
        .map_err(|_| PkiError::malformed("certificate", "it expired before 1970"))?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The certificates of a PEM bundle, each as PEM of its own.
///
/// # Errors
/// [`PkiError::Malformed`] when one of them cannot be read.
pub fn certificates(bundle: &str) -> Result<Vec<String>, PkiError> {
    CertificateDer::pem_slice_iter(bundle.as_bytes())
        .map(|der| der.map(|der| certificate_pem(&der)))
        .collect::<Result<_, _>>()
        .map_err(|source| PkiError::malformed("certificates", format!("{source:?}")))
}

/// SHA-256 of a PEM certificate's DER. The key of claims by lineage (P3) and of set-once fingerprints.
///
/// # Errors
/// [`PkiError::Malformed`] when it is not PEM of a certificate.
pub fn certificate_fingerprint(certificate: &str) -> Result<[u8; 32], PkiError> {
    Ok(sha256(&certificate_der(certificate)?))
}

/// SHA-256 of a PEM certificate's SubjectPublicKeyInfo DER: what a delegation binds to, so that a renewed
/// certificate for the same key keeps it.
///
/// # Errors
/// [`PkiError::Malformed`] when it is not PEM of a certificate.
pub fn public_key_fingerprint(certificate: &str) -> Result<[u8; 32], PkiError> {
    Ok(sha256(&public_key_der(certificate)?))
}

/// PEM of a certificate (RFC 7468: 64 characters a line).
pub(crate) fn certificate_pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

pub(super) fn public_key_der(certificate: &str) -> Result<Vec<u8>, PkiError> {
    let der = certificate_der(certificate)?;
    Ok(parse(&der)?.public_key().raw.to_vec())
}

/// SHA-256, as every fingerprint here is one.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

fn certificate_der(certificate: &str) -> Result<CertificateDer<'static>, PkiError> {
    CertificateDer::from_pem_slice(certificate.as_bytes())
        .map_err(|source| PkiError::malformed("certificate", format!("{source:?}")))
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<x509_parser::certificate::X509Certificate<'a>, PkiError> {
    x509_parser::parse_x509_certificate(der)
        .map(|(_, parsed)| parsed)
        .map_err(|source| PkiError::malformed("certificate", source))
}
