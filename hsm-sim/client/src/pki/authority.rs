//! The two authorities of a cluster: the operator CA (provisioning) and the customer CA (trust anchor).

use super::{Issued, PkiError, PrivateKeyPem, parameters};
use rcgen::{BasicConstraints, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::time::{Duration, SystemTime};

/// Ten years: neither the trust anchor nor the cluster certificate can ever be renewed (HSM-5).
const LIFETIME: Duration = Duration::from_secs(3652 * 24 * 3600);

/// A self-signed root that issues certificates. There are no intermediates (spec 1.3, step 4).
///
/// Security: holds the root's private key; no `Debug`, no `Clone`.
pub struct CertificateAuthority {
    pub(super) certificate: String,
    pub(super) key: KeyPair,
}

impl CertificateAuthority {
    /// Makes the per-cluster operator CA: ECDSA P-256, because its key also signs assignments and rosters.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate_operator(cluster_id: &str, now: SystemTime) -> Result<Issued, PkiError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(PkiError::library("generate the operator CA key"))?;
        self_signed(&key, "keystore operator CA", cluster_id, now)
    }

    /// Makes the customer CA, the trust anchor of the cluster.
    ///
    /// RSA 2048 with Basic Constraints, as `InitializeCluster` demands of a trust anchor (spec 1.3, step 4), so that
    /// what the operator makes in Managed mode is what an owner could have made in Manual mode.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate_customer(cluster_id: &str, now: SystemTime) -> Result<Issued, PkiError> {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
            .map_err(PkiError::library("generate the customer CA key"))?;
        self_signed(&key, "customer CA", cluster_id, now)
    }

    /// Loads an authority from what [`Issued`] held when it was made.
    ///
    /// # Errors
    /// [`PkiError::Malformed`] when the certificate or key cannot be read or do not belong together.
    pub fn load(certificate: &str, key: &PrivateKeyPem) -> Result<Self, PkiError> {
        let key = key.pair()?;
        let spki = super::inspect::public_key_der(certificate)?;
        if spki != rcgen::PublicKeyData::subject_public_key_info(&key) {
            return Err(PkiError::malformed("authority", "certificate and private key do not belong together"));
        }
        Ok(Self { certificate: certificate.to_owned(), key })
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, PkiError> {
        Issuer::from_ca_cert_pem(&self.certificate, &self.key).map_err(PkiError::library("load the authority"))
    }

    /// Issues a certificate for a fresh ECDSA P-256 key.
    pub(super) fn issue(&self, parameters: &rcgen::CertificateParams) -> Result<Issued, PkiError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(PkiError::library("generate a certificate key"))?;
        let certificate =
            parameters.signed_by(&key, &self.issuer()?).map_err(PkiError::library("issue a certificate"))?;
        Ok(Issued { certificate: certificate.pem(), key: PrivateKeyPem::of(&key) })
    }
}

fn self_signed(key: &KeyPair, name: &str, cluster_id: &str, now: SystemTime) -> Result<Issued, PkiError> {
    let mut parameters =
        parameters(&[(DnType::CommonName, name), (DnType::OrganizationName, cluster_id)], now, LIFETIME);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // DigitalSignature: the operator CA signs assignments and rosters with the same key.
    parameters.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let certificate = parameters.self_signed(key).map_err(PkiError::library("sign the authority's certificate"))?;
    Ok(Issued { certificate: certificate.pem(), key: PrivateKeyPem::of(key) })
}
