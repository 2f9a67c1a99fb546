//! The certificates of the provisioning listeners: renewed in the Secret that pods mount, and brought to the running pods.
//!
//! A running container does not see a changed file below a `subPath`, so a renewed certificate travels over the very listener that it is for.
//! The key stays: it never leaves the Secret and the pod.

use std::time::SystemTime;

use hsm_client::pki::{self, CertificateAuthority};
use operator_domain::Timestamp;
use operator_domain::certificate::Term;

use super::{CertificateError, end_of, private_key, text, time_of};
use crate::secrets::{SecretData, SecretStore};

/// One pod's certificate as it is stored now.
pub struct PodCertificate {
    /// The pod.
    pub pod_name: String,
    /// The certificate, PEM.
    pub certificate: String,
    /// When it ends.
    pub end: Timestamp,
}

impl PodCertificate {
    /// Whether the pod presents another one: `presented` is what it says, empty if it cannot say.
    #[must_use]
    pub fn is_missing_at(&self, presented: &[u8]) -> bool {
        let fingerprint = pki::certificate_fingerprint(&self.certificate);
        !presented.is_empty() && fingerprint.is_ok_and(|fingerprint| presented != fingerprint)
    }
}

/// Renews those of `pods` that are due, all in one write, and returns every one that exists.
///
/// # Errors
/// See [`CertificateError`].
pub async fn renew(
    secrets: &SecretStore,
    namespace: &str,
    name: &str,
    pods: &[String],
    authority: &CertificateAuthority,
    term: Term,
    now: SystemTime,
) -> Result<Vec<PodCertificate>, CertificateError> {
    let Some(stored) = secrets.read(namespace, name).await? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut renewed = Vec::new();
    for pod in pods.iter().filter(|pod| stored.data.bytes(&format!("{pod}.crt")).is_some()) {
        let mut certificate = text(name, &stored.data, &format!("{pod}.crt"))?.to_owned();
        if term.is_due(end_of(&certificate)?, time_of(now)) {
            let key = private_key(name, &stored.data, &format!("{pod}.key"))?;
            certificate = authority.renew_pod(pod, &key, now, term.lifetime())?;
            renewed.push(format!("{pod}.crt"));
        }
        found.push(PodCertificate { pod_name: pod.clone(), end: end_of(&certificate)?, certificate });
    }
    if !renewed.is_empty() {
        secrets.replace(namespace, name, &stored, replaced(&stored.data, &found)).await?;
        tracing::info!(secret = name, entries = ?renewed, "renewed certificates of HSM pods");
    }
    Ok(found)
}

fn replaced(data: &SecretData, pods: &[PodCertificate]) -> SecretData {
    let copied =
        data.keys().fold(SecretData::default(), |copy, key| copy.with(key, data.bytes(key).unwrap_or_default()));
    pods.iter().fold(copied, |copy, pod| copy.with(&format!("{}.crt", pod.pod_name), pod.certificate.as_str()))
}
