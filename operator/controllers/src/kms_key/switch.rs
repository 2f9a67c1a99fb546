//! Enabling and disabling in the HSMs, which refuse a disabled key whatever a gateway believes (INV-49).

use operator_api::KmsKey;
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

/// Brings every HSM that answers to the declared state. An HSM that is away gets it from its peers, because the version is higher.
pub(super) async fn switch(context: &Context, key: &KmsKey, observed: &Observed) -> Result<(), KeyError> {
    let wanted = base(key) == BaseState::Enabled;
    let Some(version) =
        version(observed.records.iter().map(|record| (record.enabled, record.attribute_version)), wanted)
    else {
        return Ok(());
    };
    for session in &observed.sessions {
        let hsm_id = &session.identity().hsm_id;
        let fence = fences::fence_on(context, session).await?;
        let Some(record) = observed.records.first() else { return Ok(()) };
        context.leader.check()?;
        let set = effect::at(Site::KeyState, session.set_key_state(record.key_id, wanted, version, fence)).await;
        set.map_err(|error| refused(context, session, "set the key's state", error))?;
        tracing::info!(hsm = hsm_id, enabled = wanted, version, "set the key's state");
    }
    Ok(())
}

/// The version under which to set `wanted`, or `None` when every record (enabled, version) has it. Above all of them, because the highest wins
/// among peers.
fn version(records: impl Iterator<Item = (bool, u64)> + Clone, wanted: bool) -> Option<u64> {
    let differs = records.clone().any(|(enabled, _)| enabled != wanted);
    differs.then(|| records.map(|(_, version)| version).max().unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::version as of;

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
