//! Client certificates of the outer layer; the role is the subject's organisational unit.

use super::{CertificateAuthority, Issued, PkiError, PrivateKeyPem, parameters};
use hsm_protocol::ClientRole;
use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use std::time::{Duration, SystemTime};

/// One year: what [`CertificateAuthority::issue_client`] gives.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

impl CertificateAuthority {
    /// Issues a client certificate with a fresh key for `role`; `name` becomes the common name, for the audit log.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn issue_client(&self, role: ClientRole, name: &str, now: SystemTime) -> Result<Issued, PkiError> {
        self.issue_client_for(role, name, now, LIFETIME)
    }

    /// As [`Self::issue_client`], for a certificate that lasts for `lifetime`.
    ///
    /// # Errors
    /// As [`Self::issue_client`].
    pub fn issue_client_for(
        &self,
        role: ClientRole,
        name: &str,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Issued, PkiError> {
        self.issue(&client_parameters(role, name, now, lifetime))
    }

    /// Issues a new client certificate for a key that has one already, PEM: what is bound to the public key (delegates,
    /// whose sessions count as foreign) stays valid.
    ///
    /// # Errors
    /// [`PkiError::Library`] when the key is of a kind that cannot be certified.
    pub fn renew_client(
        &self,
        role: ClientRole,
        name: &str,
        key: &PrivateKeyPem,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<String, PkiError> {
        let certificate = client_parameters(role, name, now, lifetime)
            .signed_by(&key.pair()?, &self.issuer()?)
            .map_err(PkiError::library("renew a client certificate"))?;
        Ok(certificate.pem())
    }
}

fn client_parameters(role: ClientRole, name: &str, now: SystemTime, lifetime: Duration) -> rcgen::CertificateParams {
    let names = [(DnType::CommonName, name), (DnType::OrganizationalUnitName, role.organizational_unit())];
    let mut parameters = parameters(&names, now, lifetime);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}
