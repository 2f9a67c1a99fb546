//! The middle of a reconcile: brings one cluster one step further, and notes what was found on the way.

use hsm_initialization::{Observed, Phase, Procedure, SecretName, Step, next_step, phase};
use operator_api::CloudHsmCluster;

use super::apply;
use super::certificates::Certificates;
use super::custody::ClusterSecrets;
use super::failure::ClusterError;
use super::initialize::{ClusterProcedure, LeaderFences, is_before_pods, perform};
use super::observe::{self, observe};
use super::plan::plan;
use super::status::{Findings, status};
use super::upkeep;
use super::validate::{Desired, validate};
use crate::context::Context;

/// Returns whether something was done, so that another step may follow. `findings` holds what was found, also after a failure.
pub(super) async fn advance(
    context: &Context,
    cluster: &CloudHsmCluster,
    findings: &mut Findings,
) -> Result<bool, ClusterError> {
    let settings = &context.settings;
    let stateful_set = match &cluster.spec.cluster_id {
        Some(cluster_id) => observe::stateful_set(context, cluster_id).await?,
        None => None,
    };
    let (image, pull_policy) = (&settings.hsm_image, &settings.hsm_image_pull_policy);
    let desired = match validate(cluster, stateful_set.as_deref(), image, pull_policy) {
        Ok(desired) => desired,
        Err(invalid) => {
            findings.invalid = Some((invalid.reason(), invalid.to_string()));
            return Ok(false);
        }
    };
    findings.zones = desired.zones.len();
    findings.invalid = desired.refused.as_ref().map(|refused| ("ZoneRemoved", refused.to_string()));
    let existing = observe(context, &desired, stateful_set).await?;
    findings.is_new = Some(is_new(cluster, &existing));
    let (plan, problem) = plan(cluster, &desired, &existing.places);
    if let Some(problem) = problem.filter(|_| desired.refused.is_none()) {
        findings.invalid = Some(("ZoneConflict", problem.to_string()));
    }
    let (secrets, fences) = (ClusterSecrets::new(context, &desired.cluster_id), LeaderFences(context));
    let procedure = Procedure::new(&secrets, &fences, &desired.cluster_id);
    let observed = procedure.observe(plan).await?;
    let step = next_step(&observed);
    findings.step = Some(step.clone());
    note_certificates(&procedure, &observed, findings).await;
    findings.observed = Some(observed.clone());
    if !is_before_pods(&step) {
        let claims = existing.stateful_set.as_ref().and_then(|set| set.spec.as_ref()?.volume_claim_templates.clone());
        apply::children(context, &desired, claims).await?;
        // Before the first key, so before every step that could lead to one (D19).
        apply::retain_volumes(context, &existing.volumes).await?;
    }
    // What one HSM refuses must not keep the others from their certificates and the status from what they say.
    let performed = perform(context, &procedure, cluster, &observed, &step).await;
    let (now, cluster_id) = (std::time::SystemTime::now(), desired.cluster_id.as_str());
    Certificates { context, cluster, cluster_id, procedure: &procedure, now }.keep(&observed, findings).await?;
    maintain(context, cluster, &desired, &existing, &procedure, findings).await?;
    performed
}

/// Whether no HSM can exist yet. A manifest may have come back with the id alone, and volumes outlive the StatefulSet (D2, D19).
fn is_new(cluster: &CloudHsmCluster, existing: &observe::Observed) -> bool {
    let initialized = cluster.spec.cluster_certificate_fingerprint.is_some();
    !initialized && existing.stateful_set.is_none() && existing.volumes.is_empty()
}

/// What a cluster needs besides: once it is initialised a disruption budget that fits, and at any time pods of the current template.
///
/// Blocked, it keeps even pods that are down: a person has to look at it as it is.
async fn maintain(
    context: &Context,
    cluster: &CloudHsmCluster,
    desired: &Desired,
    existing: &observe::Observed,
    procedure: &ClusterProcedure<'_>,
    findings: &mut Findings,
) -> Result<(), ClusterError> {
    let Some(observed) = findings.observed.as_ref() else { return Ok(()) };
    let mut settled = false;
    if phase(observed) == Phase::Active {
        findings.under_replicated_keys = upkeep::under_replicated_keys(procedure, observed).await;
        settled = findings.is_settled(&status(cluster, findings, jiff::Timestamp::now()));
        apply::disruption_budget(context, desired, settled).await?;
    }
    if matches!(findings.step, Some(Step::Blocked(_))) {
        return Ok(());
    }
    upkeep::replace_outdated_pod(context, existing, observed, settled).await
}

/// The certificate request and the trust anchor, for the status; that they cannot be read now is no failure of the reconcile.
async fn note_certificates(procedure: &ClusterProcedure<'_>, observed: &Observed, findings: &mut Findings) {
    if observed.secrets.contains(&SecretName::CustomerAuthority) {
        let authority = procedure.customer_authority().await.ok();
        findings.trust_anchor = authority.map(|authority| authority.certificate().to_owned());
    }
    if phase(observed) == Phase::Uninitialized {
        findings.csr = upkeep::certificate_request(procedure, observed).await;
    }
}
