//! The procedure's edge: it reads facts from custody and HSMs, and performs one step.

mod authority;
mod initialize;
mod membership;
mod observe;
mod users;

use crate::custody::{Custody, SecretEntries, SecretName, entry};
use crate::error::InitializationError;
use crate::fence::Fencing;
use crate::observed::{Observed, ObservedHsm};
use crate::step::Step;
use hsm_client::pki::{CertificateAuthority, ClientRole};
use hsm_client::{ClientIdentity, HsmEndpoint, ProvisioningSession, Session, TrustAnchor};
use std::time::{Duration, SystemTime};

/// Longest one phase of dialling a pod may take.
const DIAL: Duration = Duration::from_secs(3);

/// The procedure for one cluster. Holds no state of its own: whoever calls it next, in whatever process, resumes it.
pub struct Procedure<'a, C, F> {
    custody: &'a C,
    fencing: &'a F,
    cluster_id: &'a str,
}

impl<'a, C: Custody, F: Fencing> Procedure<'a, C, F> {
    /// The procedure for `cluster_id`, whose secrets are in `custody`.
    pub fn new(custody: &'a C, fencing: &'a F, cluster_id: &'a str) -> Self {
        Self { custody, fencing, cluster_id }
    }

    /// Does one step. What the caller has to record, and waiting, are no-ops here. Repeating a step that was done, or
    /// half done, is harmless.
    ///
    /// # Errors
    /// [`InitializationError`]; the step may have been done all the same, which the next observation shows (INV-23).
    pub async fn perform(&self, observed: &Observed, step: &Step) -> Result<(), InitializationError> {
        match step {
            Step::MakeOperatorAuthority => self.make_operator_authority().await,
            Step::CertifyPods => self.certify_pods(observed).await,
            Step::MakeSealingShare => self.make_sealing_share().await,
            Step::Assign { pod } => self.assign(hsm(observed, pod)?).await,
            Step::MakeCustomerAuthority => self.make_customer_authority().await,
            Step::MakeOfficer => self.make_officer().await,
            Step::Initialize { pod } => self.initialize(hsm(observed, pod)?).await,
            Step::MakeControllersClient => self.make_controllers_client().await,
            Step::Activate { pod } => self.activate(hsm(observed, pod)?).await,
            Step::MakeRing => self.make_ring().await,
            Step::CreateKmsUser { pod } => self.create_kmsuser(hsm(observed, pod)?).await,
            Step::SendRoster(due) => self.send_roster(observed, due).await,
            Step::Join { pod } => self.join(hsm(observed, pod)?).await,
            Step::RecordIntent(_)
            | Step::RecordClusterCertificate { .. }
            | Step::Wait(_)
            | Step::Blocked(_)
            | Step::Done => Ok(()),
        }
    }

    /// Opens the provisioning listener of a pod, with a certificate made for this one use.
    ///
    /// # Errors
    /// [`InitializationError::Connect`], or a lost Secret.
    pub async fn provisioning(&self, hsm: &ObservedHsm) -> Result<ProvisioningSession, InitializationError> {
        let (authority, identity) = self.provisioner().await?;
        open_provisioning(&authority, &identity, hsm).await
    }

    /// Opens the client listener of an HSM as the controllers.
    ///
    /// # Errors
    /// [`InitializationError::Connect`], or a lost Secret.
    pub async fn session(&self, pod: &str, endpoint: &HsmEndpoint) -> Result<Session, InitializationError> {
        let (identity, anchor) = self.controllers().await?;
        Session::connect(endpoint, &identity, &anchor, DIAL).await.map_err(InitializationError::connect(pod))
    }

    async fn controllers(&self) -> Result<(ClientIdentity, TrustAnchor), InitializationError> {
        let secret = SecretName::ControllersClient;
        let entries = self.secret(secret).await?;
        let key = entries.key(secret, entry::PRIVATE_KEY)?;
        let identity = ClientIdentity::from_pem(entries.text(secret, entry::CERTIFICATE)?, &key)?;
        Ok((identity, TrustAnchor::parse(entries.text(secret, entry::TRUST_ANCHOR)?)?))
    }

    async fn provisioner(&self) -> Result<(CertificateAuthority, ClientIdentity), InitializationError> {
        let authority = self.operator_authority().await?;
        let issued = authority.issue_client(ClientRole::Provisioning, "keystore-operator", SystemTime::now())?;
        let identity = ClientIdentity::from_pem(&issued.certificate, &issued.key)?;
        Ok((authority, identity))
    }

    /// Writes the entries that are absent and reads the Secret back: what is used is what is stored, whoever wrote it.
    async fn keep(&self, secret: SecretName, entries: SecretEntries) -> Result<SecretEntries, InitializationError> {
        self.custody.put_if_absent(secret, entries).await?;
        self.secret(secret).await
    }

    async fn secret(&self, secret: SecretName) -> Result<SecretEntries, InitializationError> {
        self.custody.read(secret).await?.ok_or(InitializationError::SecretMissing(secret))
    }
}

fn hsm<'o>(observed: &'o Observed, pod: &str) -> Result<&'o ObservedHsm, InitializationError> {
    observed.hsm(pod).ok_or_else(|| InitializationError::UnknownPod(pod.to_owned()))
}

async fn open_provisioning(
    authority: &CertificateAuthority,
    identity: &ClientIdentity,
    hsm: &ObservedHsm,
) -> Result<ProvisioningSession, InitializationError> {
    let pod = &hsm.pod.pod_name;
    let addresses = hsm.pod.addresses.as_ref().ok_or_else(|| InitializationError::UnknownPod(pod.clone()))?;
    ProvisioningSession::connect(addresses.provisioning, pod, authority.certificate(), identity, DIAL)
        .await
        .map_err(InitializationError::connect(pod))
}
