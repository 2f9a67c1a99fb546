//! What the people who run a cluster see of a release: hardened pods with probes, budgets for evictions, and logs that a machine can read.
//!
//! Run by `make e2e`, on any cluster, one test at a time.

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, SYSTEM_NAMESPACE};
use e2e::quickstart::{ALIAS, NAME};
use e2e::scenario::{PATIENCE, eventually_ok};
use e2e::sdk::bytes;
use e2e::wait::{Look, until};
use operator_api::kms_key::KeyState;
use serde_json::{Value, json};

/// Where our pods run, and the probes that each of them has.
const RUNNING: [(&str, &[&str]); 3] = [
    (SYSTEM_NAMESPACE, &["startupProbe", "livenessProbe", "readinessProbe"]),
    (GATEWAY_NAMESPACE, &["startupProbe", "livenessProbe", "readinessProbe"]),
    (HSM_NAMESPACE, &["livenessProbe", "readinessProbe"]),
];

#[tokio::test]
async fn every_pod_has_a_root_that_cannot_be_written_probes_and_exactly_one_budget() -> Result<()> {
    let (cluster, _) = Cluster::ready().await?;
    for (namespace, probes) in RUNNING {
        let (pods, budgets) = (cluster.list("pods", namespace)?, cluster.list("poddisruptionbudgets", namespace)?);
        ensure!(pods.len() >= 2, "{namespace} has {} pods", pods.len());
        for pod in &pods {
            let name = &pod["metadata"]["name"];
            for container in pod["spec"]["containers"].as_array().context("a pod without containers")? {
                let security = &container["securityContext"];
                ensure!(security["readOnlyRootFilesystem"] == true, "{name} may write to its root: {security}");
                for probe in probes {
                    ensure!(container[*probe].is_object(), "{name} has no {probe}");
                }
            }
            // The API server refuses to evict a pod that is in two.
            let covering = budgets.iter().filter(|budget| selects(budget, pod)).count();
            ensure!(covering == 1, "{name} is in {covering} budgets");
        }
    }
    Ok(())
}

fn selects(budget: &Value, pod: &Value) -> bool {
    let wanted = budget["spec"]["selector"]["matchLabels"].as_object();
    wanted.is_some_and(|labels| labels.iter().all(|(name, value)| pod["metadata"]["labels"][name] == *value))
}

/// The end of the logs of a namespace, line by line.
fn logged(cluster: &Cluster, namespace: &str) -> Result<Vec<Value>> {
    let mut lines = Vec::new();
    let stays = |pod: &Value| pod["metadata"]["deletionTimestamp"].is_null();
    for pod in cluster.list("pods", namespace)?.into_iter().filter(stays) {
        let name = pod["metadata"]["name"].as_str().context("a pod without a name")?;
        let log = cluster.kubectl(&["logs", name, "--namespace", namespace, "--tail=2000"])?;
        for line in log.lines() {
            lines.push(serde_json::from_str(line).with_context(|| format!("{name} logged what is no JSON: {line}"))?);
        }
    }
    Ok(lines)
}

/// A request by its id, which its answer carries as well; the work of a controller by the id of one reconcile.
#[tokio::test]
async fn every_line_of_the_logs_is_json_and_what_belongs_together_shares_an_id() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    // So that controllers and gateway have something to tell.
    tenant.disconnect(NAME).await?;
    tenant.connect(NAME).await?;
    tenant.key_reaches(NAME, KeyState::Enabled).await?;
    let mut sdk = cluster.application().await?;
    eventually_ok(&mut sdk, "encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(b"logged") })).await?;

    let of_a_request = |line: &Value| line["eventName"] == "Encrypt" && is_id(&line["requestID"]);
    let of_a_reconcile = |line: &Value| line["message"].is_string() && is_id(&line["span"]["trace"]);
    told(&cluster, GATEWAY_NAMESPACE, of_a_request).await?;
    told(&cluster, SYSTEM_NAMESPACE, of_a_reconcile).await?;
    ensure!(!logged(&cluster, HSM_NAMESPACE)?.is_empty(), "the HSMs log nothing");
    Ok(())
}

fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| uuid::Uuid::parse_str(text).is_ok())
}

/// Waits until such a line is there: a container's log is read with some delay.
async fn told(cluster: &Cluster, namespace: &str, wanted: impl Fn(&Value) -> bool) -> Result<()> {
    until(&format!("a line in {namespace}"), PATIENCE, || async {
        let lines = logged(cluster, namespace)?;
        let found = lines.iter().any(&wanted);
        Ok(if found { Look::Done(()) } else { Look::NotYet(format!("{:?}", lines.last())) })
    })
    .await
}
