//! Ordinary HTTPS serving certificates, for the gateway's endpoint.

use super::{CertificateAuthority, Issued, PkiError, parameters};
use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use std::time::{Duration, SystemTime};

impl CertificateAuthority {
    /// Issues an HTTPS serving certificate for `names` (DNS names or IP addresses) that lasts for `lifetime`.
    ///
    /// # Errors
    /// [`PkiError::Library`] when a name is neither a DNS name nor an address.
    pub fn issue_server(&self, names: &[String], now: SystemTime, lifetime: Duration) -> Result<Issued, PkiError> {
        let common_name = names.first().map_or("keystore-gateway", String::as_str);
        let mut parameters = parameters(&[(DnType::CommonName, common_name)], now, lifetime);
        parameters.subject_alt_names = rcgen::CertificateParams::new(names)
            .map_err(PkiError::library("use the names in a serving certificate"))?
            .subject_alt_names;
        // Strict verifiers (OpenSSL's X509_V_FLAG_X509_STRICT, Python 3.13's default) ask for it.
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&parameters)
    }
}
