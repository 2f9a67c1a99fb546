//! Who this HSM is: an identity key that never leaves its volume, and the self-signed host certificate of the outer
//! TLS layer.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use hsm_protocol::ReturnCode;
use hsm_protocol::labels::HOST_NAME;

use crate::tls::TlsError;
use crate::tls::certificate::{self_signed, sha256, spki_der};
use crate::vault::Outcome;
use crate::vault::rows::IdentityRow;

/// Identity and host key. Secret inside: no `Debug`.
pub(crate) struct Identity {
    row: IdentityRow,
    signer: EcdsaKeyPair,
    /// Subject public key info of the identity key (DER).
    pub(crate) spki_der: Vec<u8>,
    /// SHA-256 of it: what the operator signs into assignment and roster.
    pub(crate) spki_sha256: [u8; 32],
}

impl Identity {
    /// New keys for a new volume.
    ///
    /// # Errors
    /// [`TlsError`] if the generator fails.
    pub(crate) fn generate(pod_name: &str) -> Result<IdentityRow, TlsError> {
        let identity = self_signed(pod_name, "hsm identity")?;
        let host = self_signed(HOST_NAME, "host")?;
        Ok(IdentityRow {
            identity_key: identity.key.to_vec(),
            identity_certificate: identity.certificate,
            host_key: host.key.to_vec(),
            host_certificate: host.certificate,
        })
    }

    /// The identity read from the volume.
    ///
    /// # Errors
    /// [`TlsError::Malformed`] if the row is not an identity.
    pub(crate) fn from_row(row: IdentityRow) -> Result<Self, TlsError> {
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &row.identity_key)
            .map_err(|_| TlsError::Malformed("the identity key"))?;
        let spki_der = spki_der(&row.identity_certificate)?;
        Ok(Self { spki_sha256: sha256(&spki_der), spki_der, signer, row })
    }

    /// Keys and certificates.
    pub(crate) fn row(&self) -> &IdentityRow {
        &self.row
    }

    /// Signs with the identity key: ECDSA P-256, SHA-256, ASN.1.
    ///
    /// # Errors
    /// `Internal` if the generator fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Outcome<Vec<u8>> {
        let signature = self.signer.sign(&SystemRandom::new(), message).map_err(|_| ReturnCode::Internal)?;
        Ok(signature.as_ref().to_vec())
    }
}
