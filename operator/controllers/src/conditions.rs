//! Standard conditions: merges what a reconcile found into what the status says.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// One finding: type, whether it holds (`None`: unknown), reason, message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Condition type, for example `Ready`.
    pub kind: &'static str,
    /// `None` becomes `Unknown`.
    pub holds: Option<bool>,
    /// PascalCase word from a closed set.
    pub reason: &'static str,
    /// For people; may be empty.
    pub message: String,
}

impl Finding {
    /// A condition that is known to hold or not.
    #[must_use]
    pub fn new(kind: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds: Some(holds), reason, message: message.into() }
    }
}

/// The conditions of `findings`, in their order, for `generation`. `lastTransitionTime` moves only when the status of that type changes.
/// Types that are in `present` but not found again are dropped.
#[must_use]
pub fn merge(present: &[Condition], findings: Vec<Finding>, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    findings
        .into_iter()
        .map(|finding| {
            let status = match finding.holds {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            };
            let same = present.iter().find(|old| old.type_ == finding.kind && old.status == status);
            Condition {
                last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
                message: finding.message,
                observed_generation: generation,
                reason: finding.reason.to_owned(),
                status: status.to_owned(),
                type_: finding.kind.to_owned(),
            }
        })
        .collect()
}

/// Whether the condition of this type is True.
#[must_use]
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let first = merge(&[], vec![Finding::new("Ready", false, "Joining", "1 of 3")], Some(1), at(10));
        let second = merge(&first, vec![Finding::new("Ready", false, "Joining", "2 of 3")], Some(2), at(20));
        let third = merge(&second, vec![Finding::new("Ready", true, "AllActive", "")], Some(2), at(30));
        let times: Vec<_> = [&first, &second, &third].iter().map(|c| c[0].last_transition_time.0.as_second()).collect();
        assert_eq!(times, [10, 10, 30]);
        assert_eq!(second[0].observed_generation, Some(2));
        assert_eq!(second[0].message, "2 of 3");
    }

    #[test]
    fn an_unknown_finding_is_neither_true_nor_false() {
        let finding = Finding { kind: "Ready", holds: None, reason: "Unreachable", message: String::new() };
        assert_eq!(merge(&[], vec![finding], None, at(1))[0].status, "Unknown");
    }
}
