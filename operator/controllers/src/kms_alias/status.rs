//! Status of an alias from its plan: pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator_api::{KmsAlias, KmsAliasStatus};

use super::plan::Plan;
use crate::conditions::{self, Finding};

/// The status to write; equal to the present one when nothing changed.
pub(super) fn of(alias: &KmsAlias, plan: &Plan, arn: String, now: Timestamp) -> KmsAliasStatus {
    let present = alias.status.clone().unwrap_or_default();
    let (accepted, key_id) = match plan {
        Plan::AlreadyExists { .. } | Plan::LimitExceeded => (false, None),
        Plan::TargetNotFound | Plan::TargetNotReady => (true, None),
        Plan::Ready { key_id } => (true, Some(key_id.clone())),
    };
    let moved = key_id.is_some() && present.target_key_id != key_id;
    let updated = if moved { Some(Time(now)) } else { present.last_updated_date };
    KmsAliasStatus {
        arn: accepted.then_some(arn),
        last_updated_date: if accepted { updated } else { None },
        target_key_id: key_id,
        creation_date: alias.metadata.creation_timestamp.clone(),
        observed_generation: alias.metadata.generation,
        conditions: conditions::merge(&present.conditions, findings(plan), alias.metadata.generation, now),
    }
}

fn findings(plan: &Plan) -> Vec<Finding> {
    let accepted = Finding::new("Accepted", true, "Accepted", "");
    let refused = |reason, message: String| {
        vec![Finding::new("Accepted", false, reason, message.clone()), Finding::new("Ready", false, reason, message)]
    };
    match plan {
        Plan::AlreadyExists { holder } => refused(
            "AlreadyExistsException",
            format!("KmsAlias {holder} of this namespace is older and has this alias name"),
        ),
        Plan::LimitExceeded => refused("LimitExceededException", "the key has 50 aliases already".into()),
        Plan::TargetNotFound => {
            vec![
                accepted,
                Finding::new("Ready", false, "NotFoundException", "the target KmsKey does not exist in this namespace"),
            ]
        }
        Plan::TargetNotReady => {
            vec![accepted, Finding::new("Ready", false, "CreatingMaterial", "the target has no key id yet")]
        }
        Plan::Ready { .. } => vec![accepted, Finding::new("Ready", true, "Resolved", "")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_api::KmsAliasSpec;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ready(id: &str) -> Plan {
        Plan::Ready { key_id: id.into() }
    }

    #[test]
    fn the_date_moves_only_when_the_target_does() {
        let mut alias = KmsAlias::new("a", KmsAliasSpec::default());
        alias.status = Some(of(&alias, &ready("1"), "arn".into(), at(10)));
        let same = of(&alias, &ready("1"), "arn".into(), at(20));
        assert_eq!(Some(&same), alias.status.as_ref());
        let other = of(&alias, &ready("2"), "arn".into(), at(30));
        assert_eq!(other.last_updated_date, Some(Time(at(30))));
    }

    #[test]
    fn an_alias_without_the_name_has_neither_arn_nor_target() {
        let alias = KmsAlias::new("a", KmsAliasSpec::default());
        let status = of(&alias, &Plan::AlreadyExists { holder: "b".into() }, "arn".into(), at(1));
        assert_eq!((status.arn, status.target_key_id), (None, None));
        assert!(status.conditions.iter().all(|c| c.status == "False" && c.reason == "AlreadyExistsException"));
    }
}
