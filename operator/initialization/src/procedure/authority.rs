//! Secrets that exist before any HSM: authorities, pod certificates, sealing share, client certificate.

use super::Procedure;
use crate::custody::{Custody, SecretEntries, SecretName, entry};
use crate::error::InitializationError;
use crate::fence::Fencing;
use crate::observed::Observed;
use crate::password;
use hsm_client::pki::{CertificateAuthority, ClientRole};
use std::time::SystemTime;
use zeroize::Zeroizing;

impl<C: Custody, F: Fencing> Procedure<'_, C, F> {
    pub(super) async fn make_operator_authority(&self) -> Result<(), InitializationError> {
        let issued = CertificateAuthority::generate_operator(self.cluster_id, SystemTime::now())?;
        let entries = SecretEntries::default()
            .with(entry::AUTHORITY_CERTIFICATE, issued.certificate.as_str())
            .with(entry::AUTHORITY_KEY, issued.key.expose());
        self.keep(SecretName::OperatorAuthority, entries).await.map(drop)
    }

    /// The operator CA: signs membership and issues pod certificates.
    ///
    /// # Errors
    /// A lost or damaged Secret.
    pub async fn operator_authority(&self) -> Result<CertificateAuthority, InitializationError> {
        let secret = SecretName::OperatorAuthority;
        let entries = self.secret(secret).await?;
        let key = entries.key(secret, entry::AUTHORITY_KEY)?;
        Ok(CertificateAuthority::load(entries.text(secret, entry::AUTHORITY_CERTIFICATE)?, &key)?)
    }

    /// The entries of a pod are written together, so a certificate never meets another one's key.
    pub(super) async fn certify_pods(&self, observed: &Observed) -> Result<(), InitializationError> {
        let authority = self.operator_authority().await?;
        let mut entries = SecretEntries::default().with(entry::OPERATOR_CA, authority.certificate());
        let lacking = |name: &&String| !observed.certified_pods.contains(*name);
        for pod in observed.plan.pods.iter().map(|pod| &pod.pod_name).filter(lacking) {
            let issued = authority.issue_pod(pod, SystemTime::now())?;
            entries = entries
                .with(&format!("{pod}.crt"), issued.certificate.as_str())
                .with(&format!("{pod}.key"), issued.key.expose());
        }
        self.keep(SecretName::Pods, entries).await.map(drop)
    }

    pub(super) async fn make_sealing_share(&self) -> Result<(), InitializationError> {
        let mut share = Zeroizing::new([0; 32]);
        password::fill(share.as_mut())?;
        let entries = SecretEntries::default().with(entry::SHARE, share.as_slice());
        self.keep(SecretName::SealingShare, entries).await.map(drop)
    }

    pub(super) async fn make_customer_authority(&self) -> Result<(), InitializationError> {
        let issued = CertificateAuthority::generate_customer(self.cluster_id, SystemTime::now())?;
        let entries = SecretEntries::default()
            .with(entry::CUSTOMER_CERTIFICATE, issued.certificate.as_str())
            .with(entry::CUSTOMER_KEY, issued.key.expose());
        self.keep(SecretName::CustomerAuthority, entries).await.map(drop)
    }

    /// The customer CA: signs the cluster's certificate request and issues client certificates.
    ///
    /// # Errors
    /// A lost or damaged Secret.
    pub async fn customer_authority(&self) -> Result<CertificateAuthority, InitializationError> {
        let secret = SecretName::CustomerAuthority;
        let entries = self.secret(secret).await?;
        let key = entries.key(secret, entry::CUSTOMER_KEY)?;
        Ok(CertificateAuthority::load(entries.text(secret, entry::CUSTOMER_CERTIFICATE)?, &key)?)
    }

    pub(super) async fn make_controllers_client(&self) -> Result<(), InitializationError> {
        let authority = self.customer_authority().await?;
        let issued = authority.issue_client(ClientRole::Controllers, "keystore-operator", SystemTime::now())?;
        let entries = SecretEntries::default()
            .with(entry::CERTIFICATE, issued.certificate.as_str())
            .with(entry::PRIVATE_KEY, issued.key.expose())
            .with(entry::TRUST_ANCHOR, authority.certificate());
        self.keep(SecretName::ControllersClient, entries).await.map(drop)
    }
}
