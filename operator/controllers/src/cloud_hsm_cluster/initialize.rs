//! Drives the initialisation procedure: one step per reconcile, with what only the API server can record recorded there.

use hsm_client::Session;
use hsm_initialization::{Fencing, NoFence, Observed, Procedure, Step};
use kube::Api;
use operator_api::CloudHsmCluster;
use serde_json::json;

use super::custody::ClusterSecrets;
use super::failure::ClusterError;
use crate::context::Context;
use crate::fences;
use crate::report::{Controller, chain};

/// This process's fences, for the procedure's control commands.
pub(super) struct LeaderFences<'a>(pub(super) &'a Context);

impl Fencing for LeaderFences<'_> {
    async fn fence_on(&self, session: &Session) -> Result<u64, NoFence> {
        fences::fence_on(self.0, session).await.map_err(|error| NoFence(chain(&error)))
    }
}

/// The procedure over the API server.
pub(super) type ClusterProcedure<'a> = Procedure<'a, ClusterSecrets, LeaderFences<'a>>;

/// Whether the step comes before pods can start: they mount what it makes.
pub(super) fn is_before_pods(step: &Step) -> bool {
    matches!(step, Step::MakeOperatorAuthority | Step::CertifyPods | Step::MakeSealingShare)
}

/// Does the step; `true` when something was done, so the next step can follow at once. `cluster` must be a quorum read: what is recorded
/// is compared with exactly this version (`INV-71`).
pub(super) async fn perform(
    context: &Context,
    procedure: &ClusterProcedure<'_>,
    cluster: &CloudHsmCluster,
    observed: &Observed,
    step: &Step,
) -> Result<bool, ClusterError> {
    let recorded = match step {
        Step::Wait(_) | Step::Blocked(_) | Step::Done => return Ok(false),
        Step::RecordIntent(intent) => json!({ "initializationIntent": {
            "hsmId": intent.hsm_id,
            "identityFingerprint": hex::encode(intent.identity_fingerprint),
        } }),
        Step::RecordClusterCertificate { fingerprint } => {
            json!({ "clusterCertificateFingerprint": hex::encode(fingerprint) })
        }
        Step::MakeOperatorAuthority
        | Step::CertifyPods
        | Step::MakeSealingShare
        | Step::Assign { .. }
        | Step::MakeCustomerAuthority
        | Step::MakeOfficer
        | Step::Initialize { .. }
        | Step::MakeControllersClient
        | Step::Activate { .. }
        | Step::MakeRing
        | Step::CreateKmsUser { .. }
        | Step::SendRoster(_)
        | Step::Join { .. } => {
            context.leader.check()?;
            procedure.perform(observed, step).await?;
            return Ok(true);
        }
    };
    record(context, cluster, recorded).await.map(|()| true)
}

/// Writes set-once fields of the spec.
pub(super) async fn record(
    context: &Context,
    cluster: &CloudHsmCluster,
    fields: serde_json::Value,
) -> Result<(), ClusterError> {
    let namespace = cluster.metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<CloudHsmCluster> = Api::namespaced(context.client.clone(), namespace);
    context.writes(Controller::CloudHsmCluster).set_once(&api, cluster, json!({ "spec": fields })).await?;
    Ok(())
}
