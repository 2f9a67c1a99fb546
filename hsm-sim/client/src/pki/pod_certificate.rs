//! The certificate by which one pod proves on the provisioning listener which pod it is.

use super::{CertificateAuthority, Issued, PkiError, PrivateKeyPem, parameters};
use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
use std::time::{Duration, SystemTime};

/// One year: what [`CertificateAuthority::issue_pod`] gives; renewed by the controllers before it ends.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

impl CertificateAuthority {
    /// Issues the provisioning certificate of the pod `pod_name` (its DNS subject alternative name), with a fresh key.
    ///
    /// # Errors
    /// [`PkiError::Library`] when the pod name is no DNS label.
    pub fn issue_pod(&self, pod_name: &str, now: SystemTime) -> Result<Issued, PkiError> {
        self.issue(&pod_parameters(pod_name, now, LIFETIME)?)
    }

    /// Issues a new certificate for the key that the pod has, PEM: the running pod can take it over, because nothing
    /// secret has to reach it.
    ///
    /// # Errors
    /// As [`Self::issue_pod`], or when the key is of a kind that cannot be certified.
    pub fn renew_pod(
        &self,
        pod_name: &str,
        key: &PrivateKeyPem,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<String, PkiError> {
        let certificate = pod_parameters(pod_name, now, lifetime)?
            .signed_by(&key.pair()?, &self.issuer()?)
            .map_err(PkiError::library("renew a pod certificate"))?;
        Ok(certificate.pem())
    }
}

fn pod_parameters(pod_name: &str, now: SystemTime, lifetime: Duration) -> Result<rcgen::CertificateParams, PkiError> {
    let mut parameters = parameters(&[(DnType::CommonName, pod_name)], now, lifetime);
    let name = pod_name.try_into().map_err(PkiError::library("use the pod name in a certificate"))?;
    parameters.subject_alt_names = vec![SanType::DnsName(name)];
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}
