//! A private key as PEM that cannot be printed, copied or serialised by accident, and is wiped on drop.

use super::PkiError;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// A PKCS#8 private key in PEM.
///
/// Security: no `Debug`, `Display`, `Clone` or `Serialize` (INV-55); the text is zeroised when dropped.
pub struct PrivateKeyPem(Zeroizing<String>);

impl PrivateKeyPem {
    /// Takes over PEM text, for example out of a Secret, after checking that it holds a private key.
    ///
    /// # Errors
    /// [`PkiError::Malformed`] without any part of the text.
    pub fn parse(text: Zeroizing<String>) -> Result<Self, PkiError> {
        PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| PkiError::malformed("private key", "it is not PEM of a private key"))?;
        Ok(Self(text))
    }

    /// The PEM text, for the one place that stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn of(pair: &rcgen::KeyPair) -> Self {
        Self(Zeroizing::new(pair.serialize_pem()))
    }

    pub(super) fn pair(&self) -> Result<rcgen::KeyPair, PkiError> {
        rcgen::KeyPair::from_pem(&self.0).map_err(PkiError::library("load the private key"))
    }

    pub(crate) fn der(&self) -> Result<PrivateKeyDer<'static>, PkiError> {
        PrivateKeyDer::from_pem_slice(self.0.as_bytes())
            .map_err(|_| PkiError::malformed("private key", "it is not PEM of a private key"))
    }
}
