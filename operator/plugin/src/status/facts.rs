//! What the conditions of an object say is wrong, and whether its owner wants it so. The words are the controllers'.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};
use operator_api::cloud_hsm_cluster::HSMS_LISTED;
use operator_api::custom_key_store::WantedConnection;
use operator_api::kms_key::KeyState;
use operator_api::{ConnectionState, CustomKeyStore, KmsKey};

/// Conditions that are True when all is well; every other one is True when something is not.
const GOOD: [&str; 5] = ["Accepted", "Ready", "HsmsReady", HSMS_LISTED, "CertificatesCurrent"];

/// What the conditions complain of, the gravest first, each text once; a condition without a text gives its reason.
pub(super) fn complaints(conditions: &[Condition]) -> Vec<String> {
    let bad = |condition: &&Condition| (condition.status == "True") != GOOD.contains(&condition.type_.as_str());
    let unknown = |condition: &&Condition| condition.status != "Unknown" || GOOD.contains(&condition.type_.as_str());
    let mut bad: Vec<_> = conditions.iter().filter(unknown).filter(bad).collect();
    bad.sort_by_key(|condition| match condition.type_.as_str() {
        "Stalled" => 0,
        "Accepted" => 1,
        "Ready" => 2,
        _ => 3,
    });
    let texts: Vec<_> = bad.iter().filter(|it| !it.message.is_empty()).map(|it| it.message.clone()).collect();
    let mut said: Vec<String> = Vec::new();
    for text in texts {
        // A longer text that repeats a shorter one, with the cure behind it, is enough.
        if !said.iter().any(|other| other.contains(&text)) {
            said.retain(|other| !text.contains(other.as_str()));
            said.push(text);
        }
    }
    if said.is_empty() { bad.first().map(|it| it.reason.clone()).into_iter().collect() } else { said }
}

/// Why the status cannot be believed to describe the object as it is declared now.
pub(super) fn unobserved(object: &impl Resource, observed_generation: Option<i64>) -> Option<String> {
    let look = "see that the controllers run: kubectl get pods -n keystore-system";
    if object.meta().deletion_timestamp.is_some() {
        return Some(format!("it is being deleted and waits for {}", object.finalizers().join(", ")));
    }
    match (observed_generation, object.meta().generation) {
        (None, _) => Some(format!("the controllers have not looked at it yet: {look}")),
        (Some(seen), Some(now)) if seen < now => {
            Some(format!("the controllers have not acted on its last change yet: {look}"))
        }
        (Some(_), _) => None,
    }
}

/// Whether the store is disconnected because its owner wants it so (D17).
pub(super) fn rests(store: &CustomKeyStore) -> bool {
    let state = store.status.as_ref().and_then(|status| status.connection_state);
    let wanted = store.spec.connection == Some(WantedConnection::Connected) && store.spec.hold.is_none();
    !wanted && matches!(state, None | Some(ConnectionState::Disconnected))
}

/// Whether the key is as its owner wants it: usable, disabled, or in a store that rests.
pub(super) fn is_as_wanted(key: &KmsKey, store: Option<&CustomKeyStore>) -> bool {
    match key.status.as_ref().and_then(|status| status.key_state) {
        Some(KeyState::Enabled | KeyState::Disabled | KeyState::PendingDeletion) => true,
        Some(KeyState::Unavailable) => store.is_some_and(rests) && !is_stalled(key),
        Some(KeyState::Creating | KeyState::PendingImport | KeyState::PendingReplicaDeletion | KeyState::Updating)
        | None => false,
    }
}

fn is_stalled(key: &KmsKey) -> bool {
    let conditions = key.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Stalled" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Condition {
        Condition {
            type_: kind.into(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn every_kind_of_complaint_is_heard_once_and_the_gravest_first() {
        type Conditions<'a> = &'a [(&'a str, &'a str, &'a str, &'a str)];
        let cases: [(Conditions<'_>, &[&str]); 8] = [
            (
                &[
                    ("Accepted", "True", "Accepted", ""),
                    ("Ready", "True", "Connected", ""),
                    ("Stalled", "False", "NotStalled", ""),
                ],
                &[],
            ),
            (
                &[("Ready", "False", "USER_LOCKED_OUT", ""), ("Stalled", "True", "USER_LOCKED_OUT", "locked. Cure: x")],
                &["locked. Cure: x"],
            ),
            (&[("Accepted", "False", "R", "no"), ("Ready", "False", "R", "no. Next: do it")], &["no. Next: do it"]),
            (&[("Ready", "True", "Connected", ""), ("CredentialsPending", "True", "H", "hsm-a")], &["hsm-a"]),
            (&[("HsmsReady", "False", "HsmsMissing", "2 of 3")], &["2 of 3"]),
            (&[("CertificatesCurrent", "True", "Current", "x ends at")], &[]),
            (&[("HsmsListed", "True", "AllListed", "")], &[]),
            (&[("Ready", "False", "Connecting", "")], &["Connecting"]),
        ];
        for (conditions, want) in cases {
            let conditions: Vec<_> = conditions.iter().map(|(k, s, r, m)| condition(k, s, r, m)).collect();
            assert_eq!(complaints(&conditions), want, "{conditions:?}");
        }
    }
}
