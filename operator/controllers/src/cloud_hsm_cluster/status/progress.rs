//! What happens or is waited for, in words: `stateMessage` and the reasons of conditions.

use hsm_initialization::Step;

use super::Findings;

/// For `stateMessage`: the failure if there is one, else the step.
pub(super) fn message(findings: &Findings, active: usize) -> String {
    if let Some((_, message)) = findings.failure.as_ref().or(findings.invalid.as_ref()) {
        return message.clone();
    }
    let Some(step) = &findings.step else { return "waiting to be looked at".into() };
    match step {
        Step::MakeOperatorAuthority => "making the operator CA".into(),
        Step::CertifyPods => "issuing provisioning certificates to the pods".into(),
        Step::MakeSealingShare => "making the sealing share".into(),
        Step::Assign { pod } => format!("assigning an HSM id to the volume of {pod}"),
        Step::MakeCustomerAuthority => "making the customer CA".into(),
        Step::MakeOfficer => "making the officer's passwords".into(),
        Step::RecordIntent(intent) => format!("choosing {} to be initialised", intent.hsm_id),
        Step::Initialize { pod } => format!("signing the certificate request of {pod} and initialising the cluster"),
        Step::RecordClusterCertificate { .. } => "recording the cluster certificate".into(),
        Step::MakeControllersClient => "issuing the controllers' client certificate".into(),
        Step::Activate { pod } => format!("activating the cluster on {pod}"),
        Step::MakeRing => "making the first kmsuser password".into(),
        Step::CreateKmsUser { pod } => format!("creating kmsuser on {pod}"),
        Step::SendRoster(roster) => format!("sending roster {} to {} HSMs", roster.version, roster.pods.len()),
        Step::Join { pod } => format!("{pod} joins and pulls keys from its peers"),
        Step::Wait(waiting) => waiting.to_string(),
        Step::Blocked(blocked) => blocked.to_string(),
        Step::Done => format!("{active} HSMs are active"),
    }
}

/// Reason of `Ready` while it is False.
pub(super) fn reason(step: &Step) -> &'static str {
    match step {
        Step::MakeOperatorAuthority | Step::CertifyPods | Step::MakeSealingShare => "MakingSecrets",
        Step::Assign { .. } | Step::MakeCustomerAuthority | Step::MakeOfficer => "Preparing",
        Step::RecordIntent(_) | Step::Initialize { .. } | Step::RecordClusterCertificate { .. } => "Initializing",
        Step::MakeControllersClient | Step::Activate { .. } | Step::MakeRing | Step::CreateKmsUser { .. } => {
            "Activating"
        }
        Step::SendRoster(_) | Step::Join { .. } => "Joining",
        Step::Wait(_) => "WaitingForPods",
        Step::Blocked(_) => "Blocked",
        Step::Done => "HsmsMissing",
    }
}
