//! Faults of processes, nodes and zones, under load where it matters. They need the nodes as containers, so `make e2e` runs this
//! file on clusters of kind that it made, and says so where it does not.
//!
//! Every test begins from [`Cluster::ready`] and may run alone. A fault ends when its value is dropped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::forward::{ReachedHsms, reach};
use e2e::hsm::{count_of, id_of};
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, SYSTEM_NAMESPACE, VAULT_NAMESPACE};
use e2e::load::Load;
use e2e::nodes::{Node, PodProcess};
use e2e::quickstart::{ALIAS, NAME};
use e2e::scenario::{PATIENCE, Tenant, eventually_ok};
use e2e::sdk::{Retries, bytes, bytes_of};
use e2e::wait::{Look, until};
use hsm_client::{KMS_USER, Session};
use hsm_initialization::custody::SecretName;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use operator_api::ConnectionState;
use operator_api::kms_key::KeyState;
use serde_json::json;

/// How many leaders may be killed too late before the right moment is called out of reach.
const MOST_KILLS: u32 = 5;

/// INV-24 to INV-27, CKS-45, P1, P5: early in the connect, and between the ring's write and its commit.
#[tokio::test]
async fn a_leader_killed_in_the_middle_of_a_connect_is_succeeded_and_the_password_stays_known() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let mut sdk = cluster.application().await?;
    let blob = sdk.kms("encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(b"before") }))?.ok()?;
    for moment in [Moment::Connecting, Moment::RotationBegun] {
        let Killed { leader, reached, refused } = killed_in_time(&cluster, &tenant, moment).await?;
        tenant.store_reaches(NAME, ConnectionState::Connected).await?;
        assert_ne!(cluster.leader()?, leader, "{moment:?}");
        reached.every_one_serves(&cluster, &tenant).await?;
        assert_eq!(refused_logins(&reached).await?, refused, "INV-26, {moment:?}: no login was refused");
        password_is_known(&cluster, &reached).await?;
    }
    let opened = eventually_ok(&mut sdk, "decrypt", &json!({ "CiphertextBlob": blob["CiphertextBlob"] })).await?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"before");
    Ok(())
}

/// A leader that died in the middle of a connect.
struct Killed {
    leader: String,
    reached: ReachedHsms,
    /// Logins that the HSMs had refused before.
    refused: u64,
}

/// The moment lasts a fraction of a second, so on a busy machine some kills come too late: then all begins anew, with the next leader.
async fn killed_in_time(cluster: &Cluster, tenant: &Tenant, moment: Moment) -> Result<Killed> {
    for _ in 0..MOST_KILLS {
        cluster.deployments_are_ready()?;
        tenant.disconnect(NAME).await?;
        let reached = reach(cluster, &tenant.cluster_is_active(NAME).await?).await?;
        let refused = refused_logins(&reached).await?;
        let leader = cluster.leader()?;
        let killer = PodProcess::of(cluster, SYSTEM_NAMESPACE, &leader)?.aim()?;

        tenant.want_connection(NAME, "CONNECTED").await?;
        if moment.comes(cluster, tenant, reached.hsms.cluster_id()).await? {
            killer.kill()?;
            if state(tenant).await? == Some(ConnectionState::Connecting) {
                // Without its pod it cannot come back and go on itself.
                let now = ["delete", "pod", &leader, "--namespace", SYSTEM_NAMESPACE, "--grace-period=0", "--force"];
                cluster.kubectl(&now)?;
                return Ok(Killed { leader, reached, refused });
            }
        }
        println!("{moment:?}: {leader} was killed too late, or not at all");
    }
    anyhow::bail!("{moment:?}: {MOST_KILLS} leaders were killed too late")
}

async fn state(tenant: &Tenant) -> Result<Option<ConnectionState>> {
    Ok(tenant.stores().get(NAME).await?.status.and_then(|status| status.connection_state))
}

/// When a leader is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// The status says CONNECTING.
    Connecting,
    /// The ring holds a password that is not in force yet: between P1.2 and P1.6.
    RotationBegun,
}

impl Moment {
    /// Whether it was seen before the connect was over.
    async fn comes(self, cluster: &Cluster, tenant: &Tenant, cluster_id: &str) -> Result<bool> {
        let secrets: Api<Secret> = Api::namespaced(cluster.admin().await?, VAULT_NAMESPACE);
        let (ring, end) = (SecretName::Ring.of(cluster_id), Instant::now() + PATIENCE);
        while Instant::now() < end {
            // Without a pause: what is looked for lasts a fraction of a second.
            for _ in 0..20 {
                let come = match self {
                    Self::Connecting => state(tenant).await? == Some(ConnectionState::Connecting),
                    Self::RotationBegun => e2e::ring::has_intent(&secrets.get(&ring).await?)?,
                };
                if come {
                    return Ok(true);
                }
            }
            if state(tenant).await? == Some(ConnectionState::Connected) {
                return Ok(false);
            }
        }
        anyhow::bail!("{self:?} did not come")
    }
}

async fn refused_logins(reached: &ReachedHsms) -> Result<u64> {
    let mut sum = 0;
    for session in reached.hsms.sessions().await? {
        sum += count_of(&session, hsm_protocol::Command::Login).await?.refused;
    }
    Ok(sum)
}

async fn password_is_known(cluster: &Cluster, reached: &ReachedHsms) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(cluster.admin().await?, VAULT_NAMESPACE);
    let ring = secrets.get(&SecretName::Ring.of(reached.hsms.cluster_id())).await?;
    let password = e2e::ring::active_password(&ring)?;
    for session in reached.hsms.sessions().await? {
        let login = session.login(KMS_USER, &password).await;
        login.with_context(|| format!("INV-24: not the password of {}", session.identity().hsm_id))?;
        session.logout().await?;
    }
    Ok(())
}

/// D8, INV-18: an HSM with its volume and a replica of the gateway at once.
#[tokio::test]
async fn a_worker_that_loses_power_and_comes_back_costs_an_application_nothing() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let inside = ["--namespace", GATEWAY_NAMESPACE, "--selector=app.kubernetes.io/name=keystore-gateway"];
    let gateway = cluster
        .kubectl(&[["get", "pods", "--output=jsonpath={.items[0].metadata.name}"].as_slice(), &inside].concat())?;
    let worker = Node::of_pod(&cluster, GATEWAY_NAMESPACE, &gateway)?;
    // Enough of them that some are connected through the gateway that is lost.
    let load = Load::start(&cluster.caller().await?, 4, Retries::PATIENT).await?;
    let fault = worker.power_off()?;
    node_is(&cluster, &worker, "Unknown")?;
    load.goes_on(50).await?;
    fault.heal()?;
    node_is(&cluster, &worker, "True")?;
    tenant.cluster_is_active(NAME).await?;
    cluster.deployments_are_ready()?;
    load.goes_on(50).await?;
    println!("while {} was off: {:?}", worker.name(), load.end_unharmed(200)?);
    tenant.store_reaches(NAME, ConnectionState::Connected).await.map(drop)
}

fn node_is(cluster: &Cluster, node: &Node, ready: &str) -> Result<()> {
    let condition = format!("--for=condition=Ready={ready}");
    cluster.kubectl(&["wait", &condition, &format!("node/{}", node.name()), "--timeout=300s"]).map(drop)
}

/// Design, "Disconnect": losing the API server alone never stops serving. D3: the store stays CONNECTED.
#[tokio::test]
async fn the_whole_control_plane_down_for_half_a_minute_stops_no_request() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let control_plane = Node::of_control_plane(&cluster)?;
    let load = Load::start(&cluster.caller().await?, 2, Retries::USUAL).await?;
    let fault = control_plane.halt_control_plane()?;
    let halted = Instant::now();
    ensure!(
        cluster.kubectl(&["get", "--raw", "/readyz", "--request-timeout=5s"]).is_err(),
        "the API server still answers"
    );
    let before = load.seen();
    while halted.elapsed() < Duration::from_secs(30) {
        load.goes_on(20).await?;
    }
    ensure!(cluster.kubectl(&["get", "--raw", "/readyz", "--request-timeout=5s"]).is_err(), "the fault did not last");
    println!("requests without a control plane: {}", load.seen().calls - before.calls);
    fault.heal()?;
    until("the API server to answer", PATIENCE, || async {
        let answer = cluster.kubectl(&["get", "--raw", "/readyz", "--request-timeout=5s"]);
        Ok(answer.map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
    })
    .await?;
    cluster.deployments_are_ready()?;
    tenant.cluster_is_active(NAME).await?;
    tenant.store_reaches(NAME, ConnectionState::Connected).await?;
    load.goes_on(50).await?;
    println!("around a restart of the control plane: {:?}", load.end_unharmed(200)?);
    Ok(())
}

/// INV-01, D8: the zone of the HSM that does the work. What the others acknowledge meanwhile is in the lost zone afterwards.
#[tokio::test]
async fn a_zone_cut_off_for_a_minute_costs_nothing_and_has_afterwards_what_was_made_without_it() -> Result<()> {
    let (cluster, tenant) = Cluster::ready().await?;
    let load = Load::start(&cluster.caller().await?, 2, Retries::PATIENT).await?;
    let inside = busiest(&cluster, &tenant, &load).await?;
    let outside = cluster.hsm_pods()?.into_iter().find(|pod| *pod != inside).context("no other HSM")?;
    let zone = Node::of_pod(&cluster, HSM_NAMESPACE, &inside)?;
    let other = Node::of_pod(&cluster, HSM_NAMESPACE, &outside)?;
    let (inside, outside) = (address(&cluster, &inside)?, address(&cluster, &outside)?);
    other.reaches(&inside).await?;
    zone.reaches(&outside).await?;

    let fault = zone.cut_off()?;
    let since = Instant::now();
    other.does_not_reach(&inside)?;
    zone.does_not_reach(&outside)?;
    zone.reaches(&inside).await.context("inside of the zone nothing is cut")?;
    let key = format!("partition-{}", jiff::Timestamp::now().as_second());
    tenant.declare_key(&key, NAME).await?;
    tenant.key_reaches(&key, KeyState::Enabled).await?;
    while since.elapsed() < Duration::from_secs(60) {
        load.goes_on(20).await?;
    }
    other.does_not_reach(&inside)?;
    fault.heal()?;
    node_is(&cluster, &zone, "True")?;
    other.reaches(&inside).await?;
    let seen = tenant.cluster_is_active(NAME).await?;
    load.goes_on(50).await?;
    println!("while {} was cut off: {:?}", zone.name(), load.end_unharmed(200)?);

    let reached = reach(&cluster, &seen).await?;
    same_key_everywhere(&tenant, &key, &reached).await?;
    tenant.store_reaches(NAME, ConnectionState::Connected).await.map(drop)
}

/// The pod of the HSM that encrypts most for the load: an idle one would be missed by nobody.
async fn busiest(cluster: &Cluster, tenant: &Tenant, load: &Load) -> Result<String> {
    let seen = tenant.cluster_is_active(NAME).await?;
    let reached = reach(cluster, &seen).await?;
    let sessions = reached.hsms.sessions().await?;
    let before = encrypted(&sessions).await?;
    load.goes_on(50).await?;
    let work = encrypted(&sessions).await?.into_iter().zip(before).map(|(after, before)| after - before);
    let hsms = seen.status.context("no status")?.hsms;
    let busiest = work.zip(hsms).max_by_key(|(work, _)| *work).map(|(_, hsm)| hsm.pod_name);
    busiest.context("the cluster has no HSMs")
}

async fn encrypted(sessions: &[Session]) -> Result<Vec<u64>> {
    let mut counts = Vec::new();
    for session in sessions {
        counts.push(count_of(session, hsm_protocol::Command::Encrypt).await?.succeeded);
    }
    Ok(counts)
}

fn address(cluster: &Cluster, pod: &str) -> Result<String> {
    let path = "--output=jsonpath={.status.podIP}:2223";
    cluster.kubectl(&["get", "pod", pod, "--namespace", HSM_NAMESPACE, path])
}

async fn same_key_everywhere(tenant: &Tenant, key: &str, reached: &ReachedHsms) -> Result<()> {
    let key = tenant.keys().get(key).await?;
    for record in reached.hsms.records_of(id_of(&key)?).await? {
        assert_eq!(Some(hex::encode(record.fingerprint)), key.spec.material_fingerprint);
    }
    Ok(())
}
