//! Collecting the facts: which secrets exist, what every volume says, which users an initialised HSM has.
//!
//! A pod that does not answer is a fact and no error; only custody failing is one, because without it nothing is known.

use super::Procedure;
use super::{DIAL, open_provisioning};
use crate::custody::{Custody, SecretEntries, SecretName, entry};
use crate::error::InitializationError;
use crate::fence::Fencing;
use crate::observed::{Observed, ObservedHsm, ObservedUsers};
use crate::plan::{ClusterPlan, PlannedPod};
use hsm_client::command::HsmState;
use hsm_client::pki::CertificateAuthority;
use hsm_client::provisioning::VolumeIdentity;
use hsm_client::{ClientIdentity, KMS_USER, OFFICER, Session, TrustAnchor};
use std::collections::BTreeSet;
use std::error::Error;

impl<C: Custody, F: Fencing> Procedure<'_, C, F> {
    /// Reads everything the next step depends on. Bounded: every pod has a few seconds.
    ///
    /// # Errors
    /// [`InitializationError`] when the secrets cannot be read.
    pub async fn observe(&self, plan: ClusterPlan) -> Result<Observed, InitializationError> {
        let mut secrets = BTreeSet::new();
        let mut certified_pods = BTreeSet::new();
        for name in SecretName::ALL {
            let Some(entries) = self.custody.read(name).await? else { continue };
            secrets.insert(name);
            if name == SecretName::Pods {
                certified_pods = certified(&plan, &entries);
            }
        }
        let provisioner = match secrets.contains(&SecretName::OperatorAuthority) {
            true => Some(self.provisioner().await?),
            false => None,
        };
        let controllers = match secrets.contains(&SecretName::ControllersClient) {
            true => Some(self.controllers().await?),
            false => None,
        };
        let observations =
            plan.pods.iter().map(|pod| observe_pod(pod.clone(), provisioner.as_ref(), controllers.as_ref()));
        let hsms = futures::future::join_all(observations).await;
        Ok(Observed { plan, secrets, certified_pods, hsms })
    }
}

fn certified(plan: &ClusterPlan, entries: &SecretEntries) -> BTreeSet<String> {
    let has = |pod: &&PlannedPod| {
        entries.bytes(entry::OPERATOR_CA).is_some()
            && entries.bytes(&format!("{}.crt", pod.pod_name)).is_some()
            && entries.bytes(&format!("{}.key", pod.pod_name)).is_some()
    };
    plan.pods.iter().filter(has).map(|pod| pod.pod_name.clone()).collect()
}

async fn observe_pod(
    pod: PlannedPod,
    provisioner: Option<&(CertificateAuthority, ClientIdentity)>,
    controllers: Option<&(ClientIdentity, TrustAnchor)>,
) -> ObservedHsm {
    let mut hsm = ObservedHsm { pod, volume: None, users: None, trouble: None };
    let Some((authority, identity)) = provisioner.filter(|_| hsm.pod.addresses.is_some()) else { return hsm };
    match read_volume(authority, identity, &hsm).await {
        Ok(volume) => hsm.volume = Some(volume),
        Err(error) => {
            hsm.trouble = Some(chain(&error));
            return hsm;
        }
    }
    let initialized = hsm.is_in(HsmState::Initialized) || hsm.is_in(HsmState::Active);
    if let Some((identity, anchor)) = controllers.filter(|_| initialized) {
        match read_users(identity, anchor, &hsm).await {
            Ok(users) => hsm.users = Some(users),
            Err(error) => hsm.trouble = Some(chain(&error)),
        }
    }
    hsm
}

async fn read_volume(
    authority: &CertificateAuthority,
    identity: &ClientIdentity,
    hsm: &ObservedHsm,
) -> Result<VolumeIdentity, InitializationError> {
    let session = open_provisioning(authority, identity, hsm).await?;
    session.hello().await.map_err(InitializationError::hsm(&hsm.pod.pod_name, "read the volume"))
}

async fn read_users(
    identity: &ClientIdentity,
    anchor: &TrustAnchor,
    hsm: &ObservedHsm,
) -> Result<ObservedUsers, InitializationError> {
    let pod = &hsm.pod.pod_name;
    let endpoint = hsm.endpoint().ok_or_else(|| InitializationError::UnknownPod(pod.clone()))?;
    let session =
        Session::connect(&endpoint, identity, anchor, DIAL).await.map_err(InitializationError::connect(pod))?;
    let read = "read the users";
    let officer = session.user_info(OFFICER).await.map_err(InitializationError::hsm(pod, read))?;
    let kmsuser = session.user_info(KMS_USER).await.map_err(InitializationError::hsm(pod, read))?;
    Ok(ObservedUsers { officer, kmsuser })
}

/// The error and its causes in one line, for a status message.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
