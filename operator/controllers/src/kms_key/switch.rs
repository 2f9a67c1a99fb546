//! Enabling and disabling in the HSMs, which refuse a disabled key whatever a gateway believes (INV-49).

use hsm_client::{KeyId, Session};
use operator_api::{KmsKey, kms_key::KeyState};
use operator_domain::key::BaseState;

use super::{apply::refused, error::KeyError, observe::Observed};
use crate::{
    context::Context,
    effect::{self, Site},
    fences,
};

/// The state that the owner's declarations ask for.
pub(super) fn base(key: &KmsKey) -> BaseState {
    BaseState::declared(key.spec.enabled, key.spec.hold.is_some(), key.spec.deletion.is_some())
}

/// Brings every HSM that answers and has the key to the declared state. One that is away gets it from its peers, because the version is higher,
/// and one that lacks the key gets it with its copy.
///
/// # Errors
/// The first one; the other HSMs are switched all the same. [`KeyError::Waiting`] when no HSM of a connected store answers and the declared
/// state is not the one that is shown: nobody has taken it yet.
pub(super) async fn switch(context: &Context, key: &KmsKey, observed: &Observed) -> Result<(), KeyError> {
    let wanted = base(key) == BaseState::Enabled;
    let Some(record) = observed.records.first() else { return unheard(key, observed.is_connected()) };
    let records = observed.records.iter().map(|record| (record.enabled, record.attribute_version));
    let Some(version) = version(records, wanted) else { return Ok(()) };
    let mut outcome = Ok(());
    for session in &observed.holders {
        outcome = outcome.and(set(context, session, record.key_id, wanted, version).await);
    }
    outcome
}

async fn set(context: &Context, session: &Session, key_id: KeyId, enabled: bool, version: u64) -> Result<(), KeyError> {
    let fence = fences::fence_on(context, session).await?;
    context.leader.check()?;
    let set = effect::at(Site::KeyState, session.set_key_state(key_id, enabled, version, fence)).await;
    set.map_err(|error| refused(context, session, "set the key's state", error))?;
    tracing::info!(hsm = session.identity().hsm_id, enabled, version, "set the key's state");
    Ok(())
}

/// No HSM answers: that takes no state away (CKS-94) and confirms none either (INV-49).
fn unheard(key: &KmsKey, connected: bool) -> Result<(), KeyError> {
    let shown = key.status.as_ref().and_then(|status| status.key_state).map(KeyState::as_str);
    let confirmed = shown == Some(base(key).shown(true).as_str());
    if connected && !confirmed { Err(KeyError::Waiting) } else { Ok(()) }
}

/// The version under which to set `wanted`, or `None` when every record (enabled, version) has it. Above all of them, because the highest wins
/// among peers.
fn version(records: impl Iterator<Item = (bool, u64)> + Clone, wanted: bool) -> Option<u64> {
    let differs = records.clone().any(|(enabled, _)| enabled != wanted);
    differs.then(|| records.map(|(_, version)| version).max().unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::{version as of, *};
    use operator_api::{KmsKeySpec, KmsKeyStatus};

    /// CKS-94, INV-49.
    #[test]
    fn silence_of_all_hsms_neither_takes_a_state_away_nor_confirms_a_new_one() {
        let mut key = KmsKey::new("k", KmsKeySpec::default());
        assert!(unheard(&key, true).is_err(), "nobody has said that there is such a key");
        key.status = Some(KmsKeyStatus { key_state: Some(KeyState::Enabled), ..KmsKeyStatus::default() });
        assert!(unheard(&key, true).is_ok());
        key.spec.enabled = Some(false);
        assert!(unheard(&key, true).is_err());
        assert!(unheard(&key, false).is_ok(), "a disconnected store shows Unavailable either way");
    }

    #[test]
    fn a_new_state_gets_a_version_above_all_and_an_old_one_none() {
        let version = |records: &[(bool, u64)], wanted| of(records.iter().copied(), wanted);
        assert_eq!(version(&[(true, 0), (true, 0), (true, 0)], true), None);
        assert_eq!(version(&[(true, 0), (true, 0), (true, 0)], false), Some(1));
        // A crash after the first of three: the two others, and the first again, get a version that wins.
        assert_eq!(version(&[(false, 4), (true, 3), (true, 3)], false), Some(5));
        assert_eq!(version(&[], false), None);
    }
}
