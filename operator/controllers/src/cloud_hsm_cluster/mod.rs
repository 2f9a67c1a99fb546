//! The controller of `CloudHsmCluster`: from zones in a manifest to an initialised HSM in each (D6, D18, D19).
//!
//! One reconcile: read the object and its StatefulSet anew → validate → observe pods, volumes and HSMs → one step of the initialisation procedure, or the
//! upkeep of what is initialised → status. Nothing is remembered between reconciles but the pauses.

mod advance;
mod apply;
mod build;
mod certificates;
mod custody;
mod deletion;
mod failure;
mod initialize;
mod observe;
mod plan;
mod rollout;
mod status;
mod upkeep;
mod validate;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, future};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Controller as Runtime, Predicate, PredicateConfig, WatchStreamExt, predicates, watcher};
use kube::{Api, ResourceExt};
use operator_api::cloud_hsm_cluster::{CloudHsmClusterStatus, ClusterState, HsmState};
use operator_api::reason::ID_IN_USE;
use operator_api::{CloudHsmCluster, RecordedKind, RecoveryRecord, labels};
use operator_domain::identifier::ClusterId;
use tokio_util::sync::CancellationToken;

use self::failure::ClusterError;
use self::status::Findings;
use crate::context::Context;
use crate::effect::Site;
use crate::ownership::{self, Identified};
use crate::read::ReadError;
use crate::report::{self, Attempts, Controller, Failure, chain};
use crate::shared_store::LOOK_AGAIN;
use crate::{random, recovery};

/// Pause after a step that was done: the next one follows at once.
const NEXT_STEP: Duration = Duration::from_millis(50);
/// Pause between two looks at a cluster in which everything is well: a silent HSM is noticed within this time.
const SETTLED: Duration = Duration::from_secs(15);

struct Clusters {
    context: Arc<Context>,
    all: Store<CloudHsmCluster>,
    /// Looks in a row that found nothing to do and something missing.
    waits: Attempts,
}

/// Runs until `stop`; finishes the reconciles under way.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let clusters = Api::<CloudHsmCluster>::all(context.client.clone());
    let (all, writer) = reflector::store();
    // Our own status writes are no reason to look again: a changing message would be a loop.
    let changed = watcher(clusters, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation.combine(predicates::finalizers), PredicateConfig::default());
    let pods = Api::<Pod>::namespaced(context.client.clone(), &context.namespaces().hsm);
    let selector = format!("{}={}", labels::MANAGED_BY, labels::OPERATOR);
    let state = Arc::new(Clusters { context, all: all.clone(), waits: Attempts::default() });
    Runtime::for_stream(changed, all)
        .watches(pods, watcher::Config::default().labels(&selector), |pod: Pod| cluster_of(&pod))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, |_, error, _| match *error {}, state)
        .for_each(|_| future::ready(()))
        .await;
}

fn cluster_of(pod: &Pod) -> Option<ObjectRef<CloudHsmCluster>> {
    let name = pod.labels().get(labels::TENANT_NAME)?;
    let namespace = pod.labels().get(labels::TENANT_NAMESPACE)?;
    Some(ObjectRef::new(name).within(namespace))
}

async fn reconcile(seen: Arc<CloudHsmCluster>, clusters: Arc<Clusters>) -> Result<Action, Infallible> {
    let context = &clusters.context;
    count_hsms(&clusters);
    report::reconcile(context, Controller::CloudHsmCluster, &*seen, Box::pin(work(&seen, &clusters))).await
}

async fn work(seen: &CloudHsmCluster, clusters: &Clusters) -> Result<Action, ClusterError> {
    let context = &clusters.context;
    let api = Api::<CloudHsmCluster>::namespaced(context.client.clone(), &seen.namespace().unwrap_or_default());
    // Irreversible steps follow, so never from the cache (INV-71).
    let live = api.get_opt(&seen.name_any()).await.map_err(ReadError::of("the CloudHsmCluster"))?;
    let Some(cluster) = live.filter(|live| live.uid() == seen.uid()) else { return Ok(Action::await_change()) };
    if cluster.metadata.deletion_timestamp.is_some() {
        deletion::let_go(context, &cluster).await?;
        return Ok(Action::await_change());
    }
    let writes = context.writes(Controller::CloudHsmCluster);
    let cluster = writes.add_finalizer(&api, &cluster, labels::CLUSTER_FINALIZER).await?;
    if cluster.spec.cluster_id.is_none() {
        return name(context, &api, &cluster).await;
    }
    // Everything below is named by the id, so two objects of one id would write one StatefulSet, each with its own zones and labels (INV-03).
    if let Some(owner) = ownership::owner(context, &cluster).await? {
        refuse(context, &api, &cluster, ID_IN_USE, ownership::refusal(&cluster, &owner)).await?;
        return Ok(Action::requeue(LOOK_AGAIN));
    }
    // Before anything is made under the id, and again whenever a step has written more of the identity (D5).
    let record = RecoveryRecord::of(RecordedKind::CloudHsmCluster, &cluster);
    recovery::keep(context, Controller::CloudHsmCluster, Site::ClusterRecord, &record).await?;
    let mut findings = Findings { zones: cluster.spec.availability_zones.len(), ..Findings::default() };
    let outcome = advance::advance(context, &cluster, &mut findings).await;
    findings.failure = outcome.as_ref().err().map(|error| (error.reason(), chain(error)));
    let status = status::status(&cluster, &findings, Timestamp::now());
    write_status(context, &api, &cluster, &status).await?;
    let due = findings.look_again.unwrap_or(Duration::MAX);
    Ok(pause(clusters, &cluster, outcome?, findings.is_settled(&status), due))
}

/// Gives a new cluster its id, unless HSMs with keys stand behind its name: a namespace that was lost and declared anew must not get other
/// HSMs, and with them other keys, behind old names (D2).
async fn name(
    context: &Context,
    api: &Api<CloudHsmCluster>,
    cluster: &CloudHsmCluster,
) -> Result<Action, ClusterError> {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let kind = RecordedKind::CloudHsmCluster;
    if let Some(former) = recovery::former_identity(context, kind, &namespace, &name).await? {
        let message = format!("the HSMs of {former} belong to this name: {}", recovery::cure(kind, &former));
        refuse(context, api, cluster, "MaterialExists", message).await?;
        return Ok(Action::requeue(context.settings.resync));
    }
    let id = ClusterId::from_random(*random::bytes()?);
    let fields = serde_json::json!({ "clusterId": id.as_str() });
    initialize::record(context, cluster, Site::ClusterId, fields).await?;
    Ok(Action::requeue(NEXT_STEP))
}

/// Says why nothing is done for the cluster.
async fn refuse(
    context: &Context,
    api: &Api<CloudHsmCluster>,
    cluster: &CloudHsmCluster,
    reason: &'static str,
    message: String,
) -> Result<(), ClusterError> {
    let findings = Findings { invalid: Some((reason, message)), ..Findings::default() };
    let status = status::status(cluster, &findings, Timestamp::now());
    write_status(context, api, cluster, &status).await
}

impl Identified for CloudHsmCluster {
    const RECORDED: RecordedKind = RecordedKind::CloudHsmCluster;

    fn id(&self) -> Option<&str> {
        self.spec.cluster_id.as_deref()
    }

    fn is_in_charge(&self) -> bool {
        self.status.as_ref().is_some_and(|status| !status.hsms.is_empty())
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }
}

async fn write_status(
    context: &Context,
    api: &Api<CloudHsmCluster>,
    cluster: &CloudHsmCluster,
    status: &CloudHsmClusterStatus,
) -> Result<(), ClusterError> {
    let old = cluster.status.as_ref();
    if old == Some(status) {
        return Ok(());
    }
    context.writes(Controller::CloudHsmCluster).apply_status(api, cluster, status).await?;
    let before = old.and_then(|old| old.state);
    if let Some(state) = status.state.filter(|state| Some(*state) != before) {
        let note =
            format!("the cluster is {}: {}", state.as_str(), status.state_message.as_deref().unwrap_or_default());
        report::event(context, cluster, EventType::Normal, state_reason(state), &note).await;
    }
    Ok(())
}

/// A reason of its own for each state: events of one reason are folded into one.
fn state_reason(state: ClusterState) -> &'static str {
    match state {
        ClusterState::CreateInProgress => "CreateInProgress",
        ClusterState::Uninitialized => "Uninitialized",
        ClusterState::InitializeInProgress => "InitializeInProgress",
        ClusterState::Initialized => "Initialized",
        ClusterState::Active => "Active",
        ClusterState::Degraded => "Degraded",
        ClusterState::DeleteInProgress | ClusterState::Deleted => "Deleting",
        ClusterState::UpdateInProgress | ClusterState::ModifyInProgress | ClusterState::RollbackInProgress => {
            "Modifying"
        }
    }
}

/// When to look again: at once after a step, else with growing pauses while something is missing (`INV-76`), and in time for certificates; a
/// change of a pod comes through the watch in any case.
fn pause(clusters: &Clusters, cluster: &CloudHsmCluster, progressed: bool, settled: bool, due: Duration) -> Action {
    let key = (Controller::CloudHsmCluster, cluster.uid().unwrap_or_default());
    if progressed || settled {
        clusters.waits.succeeded(&key);
        return Action::requeue(if progressed { NEXT_STEP } else { SETTLED.min(due) });
    }
    Action::requeue(clusters.waits.failed(key).min(due))
}

fn count_hsms(clusters: &Clusters) {
    let all = clusters.all.state();
    let hsms = || all.iter().filter_map(|cluster| cluster.status.as_ref()).flat_map(|status| &status.hsms);
    for state in [HsmState::CreateInProgress, HsmState::Active, HsmState::Degraded] {
        let count = hsms().filter(|hsm| hsm.state == state).count();
        let gauge = clusters.context.metrics.hsms.with_label_values(&[state.as_str()]);
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
