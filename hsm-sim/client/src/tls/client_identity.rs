//! The certificate and key with which this process authenticates on the outer layer.

use crate::pki::{PkiError, PrivateKeyPem, certificate_fingerprint, public_key_fingerprint};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Client certificate chain and private key.
///
/// Security: holds a private key; no `Debug`, no `Clone`. Share it in an `Arc`.
pub struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    public_key_fingerprint: [u8; 32],
    certificate_fingerprint: [u8; 32],
}

impl ClientIdentity {
    /// Reads a PEM certificate (chain) and its key.
    ///
    /// # Errors
    /// [`PkiError::Malformed`] when there is no certificate, or it cannot be read.
    pub fn from_pem(certificate: &str, key: &PrivateKeyPem) -> Result<Self, PkiError> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| PkiError::malformed("client certificate", format!("{source:?}")))?;
        let certificate_fingerprint = certificate_fingerprint(certificate)?;
        let public_key_fingerprint = public_key_fingerprint(certificate)?;
        Ok(Self { chain, key: key.der()?, public_key_fingerprint, certificate_fingerprint })
    }

    /// SHA-256 of the certificate's SubjectPublicKeyInfo: what a delegation is registered for (D12).
    pub fn public_key_fingerprint(&self) -> [u8; 32] {
        self.public_key_fingerprint
    }

    /// SHA-256 of the certificate: a renewed one differs, also when its key does not.
    pub fn certificate_fingerprint(&self) -> [u8; 32] {
        self.certificate_fingerprint
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl Drop for ClientIdentity {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}
