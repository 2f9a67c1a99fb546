//! Assignment, roster, join: which volume is which HSM, and who belongs together.

use super::{Procedure, hsm};
use crate::custody::Custody;
use crate::error::InitializationError;
use crate::fence::Fencing;
use crate::observed::{Observed, ObservedHsm, RosterDue};
use crate::password;
use hsm_client::pki::Member;

/// Characters of an HSM id (spec 1.1, lower case).
const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

impl<C: Custody, F: Fencing> Procedure<'_, C, F> {
    /// A blank volume gets a new HSM id, also when its pod had one before: what was on the old volume is gone, and
    /// copies must be counted by HSM (INV-01). The volume is the record of its id.
    pub(super) async fn assign(&self, hsm: &ObservedHsm) -> Result<(), InitializationError> {
        let pod = &hsm.pod.pod_name;
        let unknown = || InitializationError::UnknownPod(pod.clone());
        let volume = hsm.volume.as_ref().ok_or_else(unknown)?;
        let member = Member {
            hsm_id: new_hsm_id()?,
            availability_zone: hsm.pod.availability_zone.clone().ok_or_else(unknown)?,
            identity_fingerprint: volume.identity_fingerprint,
            peer_address: hsm.pod.addresses.as_ref().ok_or_else(unknown)?.peer.clone(),
        };
        let assignment = self.operator_authority().await?.sign_assignment(self.cluster_id, pod, &member)?;
        let session = self.provisioning(hsm).await?;
        session.assign(&assignment).await.map_err(InitializationError::hsm(pod, "assign the volume"))
    }

    /// Sends the roster to every HSM that lacks it; one that cannot be reached now is caught up later. One that refuses it (its disk may be
    /// full) keeps it from no other.
    ///
    /// # Errors
    /// The first one, after all were tried.
    pub(super) async fn send_roster(&self, observed: &Observed, due: &RosterDue) -> Result<(), InitializationError> {
        let (authority, identity) = self.provisioner().await?;
        let roster = authority.sign_roster(self.cluster_id, due.version, &due.members)?;
        let mut outcome = Ok(());
        for pod in &due.pods {
            let sent = async {
                let session = super::open_provisioning(&authority, &identity, hsm(observed, pod)?).await?;
                session.set_roster(&roster).await.map_err(InitializationError::hsm(pod, "send the roster"))
            };
            outcome = outcome.and(sent.await);
        }
        outcome
    }

    pub(super) async fn join(&self, hsm: &ObservedHsm) -> Result<(), InitializationError> {
        let pod = &hsm.pod.pod_name;
        let session = self.provisioning(hsm).await?;
        let state = session.join().await.map_err(InitializationError::hsm(pod, "join the cluster"))?;
        tracing::info!(%pod, ?state, "HSM joined the cluster");
        Ok(())
    }
}

/// `hsm-` and 16 random characters (spec 1.1).
fn new_hsm_id() -> Result<String, InitializationError> {
    let mut bytes = [0; 16];
    password::fill(&mut bytes)?;
    let characters = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(std::iter::once("hsm-".to_owned()).chain(characters.map(String::from)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsm_ids_have_the_documented_form_and_do_not_repeat() {
        let ids: std::collections::BTreeSet<_> = (0..100).map(|_| new_hsm_id().expect("randomness")).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            let rest = id.strip_prefix("hsm-").expect("prefix");
            assert_eq!(rest.len(), 16);
            assert!(rest.bytes().all(|byte| ALPHABET.contains(&byte)), "{id}");
        }
    }
}
