//! The certificate by which one pod proves on the provisioning listener which pod it is.

use super::{CertificateAuthority, Issued, PkiError, parameters};
use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
use std::time::{Duration, SystemTime};

/// As long as the authority that issues it: the listener must still be reachable for a Join years later.
const LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);

impl CertificateAuthority {
    /// Issues the provisioning certificate of the pod `pod_name` (its DNS subject alternative name).
    ///
    /// # Errors
    /// [`PkiError::Library`] when the pod name is no DNS label.
    pub fn issue_pod(&self, pod_name: &str, now: SystemTime) -> Result<Issued, PkiError> {
        let mut parameters = parameters(&[(DnType::CommonName, pod_name)], now, LIFETIME);
        let name = pod_name.try_into().map_err(PkiError::library("use the pod name in a certificate"))?;
        parameters.subject_alt_names = vec![SanType::DnsName(name)];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&parameters)
    }
}
