//! Drives the initialisation procedure: one step per reconcile, with what only the API server can record recorded there.

use hsm_client::Session;
use hsm_initialization::{Fencing, NoFence, Observed, Procedure, Step};
use kube::Api;
use operator_api::CloudHsmCluster;
use serde_json::json;

use super::custody::ClusterSecrets;
use super::failure::ClusterError;
use crate::context::Context;
use crate::effect::{self, Site};
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
    let site = match step {
        Step::Wait(_) | Step::Blocked(_) | Step::Done => return Ok(false),
        Step::RecordIntent(intent) => {
            let fingerprint = hex::encode(intent.identity_fingerprint);
            let intent = json!({ "hsmId": intent.hsm_id, "identityFingerprint": fingerprint });
            let fields = json!({ "initializationIntent": intent });
            return record(context, cluster, Site::ClusterIntent, fields).await.map(|()| true);
        }
        Step::RecordClusterCertificate { fingerprint } => {
            let fields = json!({ "clusterCertificateFingerprint": hex::encode(fingerprint) });
            return record(context, cluster, Site::ClusterCertificate, fields).await.map(|()| true);
        }
        Step::MakeOperatorAuthority => Site::ClusterOperatorAuthority,
        Step::CertifyPods => Site::ClusterPodCertificates,
        Step::MakeSealingShare => Site::ClusterSealingShare,
        Step::Assign { .. } => Site::ClusterAssign,
        Step::MakeCustomerAuthority => Site::ClusterCustomerAuthority,
        Step::MakeOfficer => Site::ClusterOfficer,
        Step::Initialize { .. } => Site::ClusterInitialize,
        Step::MakeControllersClient => Site::ClusterControllersClient,
        Step::Activate { .. } => Site::ClusterActivate,
        Step::MakeRing => Site::ClusterRing,
        Step::CreateKmsUser { .. } => Site::ClusterKmsUser,
        Step::SendRoster(_) => Site::ClusterRoster,
        Step::Join { .. } => Site::ClusterJoin,
    };
    context.leader.check()?;
    // On the heap, because `at` would hold the largest future of this controller twice.
    effect::at(site, Box::pin(procedure.perform(observed, step))).await?;
    Ok(true)
}

/// Writes set-once fields of the spec.
pub(super) async fn record(
    context: &Context,
    cluster: &CloudHsmCluster,
    site: Site,
    fields: serde_json::Value,
) -> Result<(), ClusterError> {
    let namespace = cluster.metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<CloudHsmCluster> = Api::namespaced(context.client.clone(), namespace);
    let writes = context.writes(Controller::CloudHsmCluster);
    effect::at(site, writes.set_once(&api, cluster, json!({ "spec": fields }))).await?;
    Ok(())
}
