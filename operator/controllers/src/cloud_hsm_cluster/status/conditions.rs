//! The conditions of a cluster: `Accepted`, `Ready`, `HsmsReady`, `HsmsListed`, `CertificatesCurrent`, `Stalled`.

use hsm_initialization::Step;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use operator_api::cloud_hsm_cluster::{ClusterState, HSMS_LISTED};
use operator_domain::cluster::Listing;

use super::{Findings, progress};
use crate::certificate::expiry::Found;
use crate::conditions::{Finding, holds};

pub(super) fn conditions(
    old: &[Condition],
    generation: Option<i64>,
    findings: &Findings,
    state: ClusterState,
    active: usize,
) -> Vec<Finding> {
    let accepted = accepted(old, generation, findings);
    let always = [accepted, ready(findings, state, active), hsms_ready(findings, active), stalled(findings)];
    always.into_iter().chain(certificates_current(findings)).collect()
}

/// Whether every certificate was renewed in time and is in use. Absent before there are any; Unknown when they could not be read.
fn certificates_current(findings: &Findings) -> Option<Finding> {
    let kind = "CertificatesCurrent";
    let failure = findings.failure.as_ref().map(|(_, message)| message.as_str());
    let late: Vec<_> = findings.certificates.iter().filter(|certificate| certificate.late).collect();
    if late.is_empty() && !findings.refusing_pods.is_empty() {
        let message = format!(
            "does not take over its stored provisioning certificate, for it holds another key: {}. Next: delete the pod; the new one mounts what is stored",
            findings.refusing_pods.join(", ")
        );
        return Some(Finding::new(kind, false, "CertificateRefused", message));
    }
    if late.is_empty() {
        let first = findings.certificates.iter().min_by_key(|certificate| certificate.end);
        return match (first, failure) {
            (Some(first), _) => Some(Finding::new(kind, true, "Current", ends(first))),
            (None, Some(failure)) => {
                let message = failure.to_owned();
                Some(Finding { kind, holds: None, reason: "NotObserved", message })
            }
            (None, None) => None,
        };
    }
    let which = late.into_iter().map(ends).collect::<Vec<_>>().join(", ");
    let why = failure.map(|failure| format!("; the last attempt: {failure}")).unwrap_or_default();
    Some(Finding::new(kind, false, "CertificateExpiresSoon", format!("renewal is overdue: {which}{why}")))
}

fn ends(certificate: &Found) -> String {
    let end = Timestamp::from_second(certificate.end.as_unix_seconds()).unwrap_or(Timestamp::MAX);
    format!("{} ({}) ends at {end}", certificate.name, certificate.usage.name())
}

/// A look that did not come so far has found no reason to accept what was refused, nor a spec that nobody has looked at yet.
fn accepted(old: &[Condition], generation: Option<i64>, findings: &Findings) -> Finding {
    let (kind, reason) = ("Accepted", "NotObserved");
    if let Some((reason, message)) = &findings.invalid {
        return Finding::new(kind, false, reason, message.clone());
    }
    let said = old.iter().find(|condition| condition.type_ == kind);
    let of_this_spec = said.is_some_and(|condition| condition.observed_generation == generation);
    if findings.is_new.is_some() || (of_this_spec && holds(old, kind)) {
        return Finding::new(kind, true, "Accepted", "");
    }
    match said.filter(|condition| condition.status == "False") {
        Some(refused) => Finding::new(kind, false, reason, refused.message.clone()),
        None => Finding { kind, holds: None, reason, message: String::new() },
    }
}

fn ready(findings: &Findings, state: ClusterState, active: usize) -> Finding {
    let message = || progress::message(findings, active);
    if state == ClusterState::Active && findings.zones > 0 && active >= findings.zones {
        return Finding::new("Ready", true, "Active", message());
    }
    let failed = findings.failure.as_ref().or(findings.invalid.as_ref()).map(|(reason, _)| *reason);
    let reason = failed.or_else(|| findings.step.as_ref().map(progress::reason)).unwrap_or("Observing");
    Finding::new("Ready", false, reason, message())
}

fn hsms_ready(findings: &Findings, active: usize) -> Finding {
    let all = findings.zones > 0 && active >= findings.zones;
    let next = if all {
        ""
    } else {
        ". Next: see why in status.hsms and with kubectl describe pod; one that is active is enough to use keys, two to create them"
    };
    let message = format!("{active} of {} HSMs are active{next}", findings.zones);
    Finding::new("HsmsReady", all, if all { "AllActive" } else { "HsmsMissing" }, message)
}

/// Whether the `listed` HSMs of the status are all that there may be. It is the memory of that too, so what a look did not find out stays as it was.
pub(super) fn hsms_listed(old: &[Condition], findings: &Findings, listed: usize) -> Option<Finding> {
    let (was_complete, pods) = (holds(old, HSMS_LISTED), findings.zones);
    let unknown = |message: String| Finding::new(HSMS_LISTED, false, "HsmsUnknown", message);
    let Some(is_new) = findings.is_new.or(was_complete.then_some(false)) else {
        let said = old.iter().find(|condition| condition.type_ == HSMS_LISTED);
        return said.map(|condition| unknown(condition.message.clone()));
    };
    if (Listing { listed, pods, was_complete, is_new }).is_complete() {
        return Some(Finding::new(HSMS_LISTED, true, "AllListed", ""));
    }
    Some(unknown(format!(
        "{listed} of {pods} HSMs have answered since this object was made; the others may hold keys and connections that nobody else knows of. \
         Next: see with kubectl describe pod why they do not run"
    )))
}

/// Nothing more happens without a person: the spec cannot be built as it is, or automation must not decide.
fn stalled(findings: &Findings) -> Finding {
    if let Some((reason, message)) = &findings.invalid {
        return Finding::new("Stalled", true, reason, message.clone());
    }
    match &findings.step {
        Some(Step::Blocked(blocked)) => Finding::new("Stalled", true, "Blocked", blocked.to_string()),
        _ => Finding::new("Stalled", false, "Progressing", ""),
    }
}
