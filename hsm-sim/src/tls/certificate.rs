//! Making and reading certificates.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::TlsError;

/// A self-signed certificate and its key.
pub(crate) struct SelfSigned {
    /// PKCS #8.
    pub(crate) key: Zeroizing<Vec<u8>>,
    /// DER.
    pub(crate) certificate: Vec<u8>,
}

/// Makes a P-256 key and a self-signed certificate for it.
///
/// # Errors
/// [`TlsError::Certificate`] if the generator fails.
pub(crate) fn self_signed(common_name: &str, organizational_unit: &str) -> Result<SelfSigned, TlsError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![common_name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "keystores.dev");
    params.distinguished_name.push(DnType::OrganizationalUnitName, organizational_unit);
    params.distinguished_name.push(DnType::CommonName, common_name);
    let certificate = params.self_signed(&key)?.der().to_vec();
    Ok(SelfSigned { key: Zeroizing::new(key.serialize_der()), certificate })
}

/// Parses one certificate.
///
/// # Errors
/// [`TlsError::Malformed`] if the bytes are not exactly one.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, TlsError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(TlsError::Malformed("a certificate")),
    }
}

/// Subject public key info (DER).
///
/// # Errors
/// [`TlsError::Malformed`].
pub(crate) fn spki_der(certificate: &[u8]) -> Result<Vec<u8>, TlsError> {
    Ok(parse(certificate)?.public_key().raw.to_vec())
}

/// SHA-256 of the subject public key info.
///
/// # Errors
/// [`TlsError::Malformed`].
pub(crate) fn spki_sha256(certificate: &[u8]) -> Result<[u8; 32], TlsError> {
    Ok(sha256(&spki_der(certificate)?))
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// The only organizational unit of the subject; `None` if there is none or more than one.
pub(crate) fn organizational_unit(certificate: &[u8]) -> Option<String> {
    let parsed = parse(certificate).ok()?;
    let mut units = parsed.subject().iter_organizational_unit();
    let unit = units.next()?.as_str().ok()?.to_owned();
    units.next().is_none().then_some(unit)
}

/// The first certificate of a PEM text.
///
/// # Errors
/// [`TlsError::Malformed`].
pub(crate) fn from_pem(pem: &[u8]) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_slice(pem).map_err(|_| TlsError::Malformed("a PEM certificate"))
}

/// Whether `signature` is by the P-256 key of this certificate (ECDSA, SHA-256, ASN.1).
pub(crate) fn signed_by(certificate: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(parsed) = parse(certificate) else { return false };
    let point = parsed.public_key().subject_public_key.data.as_ref();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
}
