//! Disconnects that an HSM or a gateway replica sleeps through, or that the cluster's object is missing from: what is said, what is waited for,
//! and that the end is caught up (D12, INV-36); and that a removed store or a failed connect leaves nothing either.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::hsm::Hsms;
use e2e::installation::{HSM_NAMESPACE, Installation};
use e2e::object;
use e2e::pods::ZONES;
use e2e::quickstart::{self, ALIAS, NAME};
use e2e::recovery::{
    break_the_glass, controllers_die_at, delete_objects, keystore_ok, start_controllers, stop_controllers,
};
use e2e::scenario::{PATIENCE, Tenant, eventually_ok, password_secret};
use e2e::sdk::bytes;
use e2e::wait::{Look, until};
use hsm_client::{HsmError, ReturnCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::PostParams;
use operator_api::{ConnectionErrorCode, ConnectionState, CustomKeyStore};
use rustix::process::Signal;
use serde_json::json;

/// The gateway renews its Lease every 10 s for 30 s, so one that was stopped just after a look has so long to live at least.
const A_LEASES_REST: Duration = Duration::from_secs(20);

/// CKS-62: the replica that lives has confirmed, so nobody waits for the HSM; and when that is back it is told.
#[tokio::test]
async fn a_disconnect_with_an_hsm_asleep_ends_when_the_gateway_confirmed_and_the_hsm_is_told_later() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut sdk = quickstart::application(&mut installation).await?;
    let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(b"x") });
    eventually_ok(&mut sdk, "encrypt", &request).await?;
    let (generation, hsms) = (generation(&tenant).await?, gateways_view(&installation, &tenant).await?);
    let pod = installation.pods.names().pop().context("no pods")?;
    installation.pods.signal(&pod, Signal::STOP);

    tenant.disconnect(NAME).await?;
    let asleep = &hsms.endpoints().last().context("no HSMs")?.hsm_id;
    let said = unconfirmed(&tenant).await?.context("nothing says that an HSM was not told")?;
    assert_eq!(said.reason, "HsmUnreachable");
    for part in [asleep.as_str(), "Every gateway replica has stopped", "bring them back"] {
        assert!(said.message.contains(part), "{part}: {}", said.message);
    }
    assert_eq!(sdk.kms("encrypt", &request)?.code(), "KMSInvalidStateException");

    installation.pods.signal(&pod, Signal::CONT);
    becomes_certain(&tenant).await?;
    nobody_honours(&hsms, &tenant, generation).await
}

/// INV-36: while a replica lives that has not confirmed the store is DISCONNECTING; then its loss is said; and what the HSM missed it is told
/// before it serves the next connection.
#[tokio::test]
async fn a_gateway_asleep_is_waited_for_until_its_lease_ends_and_a_missed_disconnect_is_caught_up_by_the_next_connect()
-> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    quickstart::application(&mut installation).await?;
    let (generation, hsms) = (generation(&tenant).await?, gateways_view(&installation, &tenant).await?);
    let pod = installation.pods.names().pop().context("no pods")?;
    installation.gateway()?.signal(Signal::STOP);
    installation.pods.hold_down(&pod);

    let asked = Instant::now();
    tenant.disconnect(NAME).await?;
    ensure!(asked.elapsed() > A_LEASES_REST, "DISCONNECTED after {:?}, and a replica lived", asked.elapsed());
    let said = unconfirmed(&tenant).await?.context("nothing says that a replica was lost")?;
    assert_eq!(said.reason, "GatewayLost");
    for part in ["gateway-gateway-1", "make sure that its pod is gone", "delete its Lease"] {
        assert!(said.message.contains(part), "{part}: {}", said.message);
    }

    tenant.connect(NAME).await?;
    installation.pods.release(&pod);
    quickstart::every_hsm_serves(&installation, &tenant).await?;
    nobody_honours(&hsms, &tenant, generation).await
}

/// D12: the HSMs without a generation are all of them, and when all have dropped it no gateway is waited for.
#[tokio::test]
async fn a_disconnect_that_every_hsm_confirms_waits_for_no_gateway() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    quickstart::application(&mut installation).await?;
    let (generation, hsms) = (generation(&tenant).await?, gateways_view(&installation, &tenant).await?);
    installation.gateway()?.signal(Signal::STOP);
    let asked = Instant::now();
    tenant.disconnect(NAME).await?;
    ensure!(asked.elapsed() < A_LEASES_REST, "an emergency stop took {:?}", asked.elapsed());
    assert_eq!(unconfirmed(&tenant).await?, None);
    nobody_honours(&hsms, &tenant, generation).await
}

/// D12, CKS-62: without the cluster's object nobody knows which HSMs there are, so the disconnect ends, and it is not called complete before
/// every HSM is listed again and was told; nor is a connection, or the end of one, that began when the object was back.
#[tokio::test]
async fn a_disconnect_without_the_clusters_object_is_unconfirmed_until_its_hsms_are_listed_and_told() -> Result<()> {
    let installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let (generation, hsms) = (generation(&tenant).await?, gateways_view(&installation, &tenant).await?);
    let pod = installation.pods.names().pop().context("no pods")?;
    installation.pods.hold_down(&pod);
    break_the_glass(&installation).await?;
    delete_objects(&installation, &["cloudhsmclusters"]).await?;

    tenant.disconnect(NAME).await?;
    let said = unconfirmed(&tenant).await?.context("nothing says that HSMs were not told")?;
    assert_eq!(said.reason, "HsmUnreachable");
    for part in [hsms.cluster_id(), "kubectl keystore recover"] {
        assert!(said.message.contains(part), "{part}: {}", said.message);
    }

    keystore_ok(&installation, &["recover"])?;
    with_a_zone_less(&installation, &tenant).await?;
    tenant.connect(NAME).await?;
    let said = condition(&tenant.stores().get(NAME).await?, "CredentialsPending");
    let said = said.context("CONNECTED as if every HSM were listed")?;
    assert!(said.message.contains(hsms.cluster_id()), "{}", said.message);
    tenant.disconnect(NAME).await?;
    unconfirmed(&tenant).await?.context("DISCONNECTED as if every HSM were listed")?;
    list_zones(&installation, &ZONES)?;
    installation.pods.release(&pod);
    becomes_certain(&tenant).await?;
    nobody_honours(&hsms, &tenant, generation).await
}

/// INV-03: an older manifest does not know a zone, nor does the new status, because its HSM is away. The pod stays, and it is said.
async fn with_a_zone_less(installation: &Installation, tenant: &Tenant) -> Result<()> {
    list_zones(installation, &ZONES[..2])?;
    let clusters = tenant.clusters();
    until("the missing zone to be refused", PATIENCE, || async {
        let conditions = clusters.get(NAME).await?.status.unwrap_or_default().conditions;
        let refused = |it: &Condition| it.reason == "ZoneRemoved" && it.message.contains(ZONES[2]);
        Ok(if conditions.iter().any(refused) { Look::Done(()) } else { Look::NotYet(format!("{conditions:?}")) })
    })
    .await?;
    let replicas = ["get", "statefulsets", "--namespace", HSM_NAMESPACE, "--output=jsonpath={.items[*].spec.replicas}"];
    assert_eq!(installation.kubectl(&replicas)?, "3");
    Ok(())
}

/// Applies another list of zones to the quickstart's cluster.
fn list_zones(installation: &Installation, zones: &[&str]) -> Result<()> {
    let patch = json!({ "spec": { "availabilityZones": zones } }).to_string();
    let order = ["patch", "cloudhsmcluster", NAME, "--namespace", NAME, "--type=merge", "--patch", &patch];
    installation.kubectl(&order).map(drop)
}

/// D12, INV-41, INV-44.
#[tokio::test]
async fn neither_a_removed_store_nor_a_failed_connect_leaves_in_an_hsm_what_the_next_one_meets() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    removed_with_an_hsm_away(&installation, &tenant).await.context("a removed store")?;
    failed_after_a_crash(&mut installation, &tenant).await.context("a failed connect")
}

/// What a store could not give back to an HSM that was away is given back in its stead when its successor meets that HSM.
async fn removed_with_an_hsm_away(installation: &Installation, tenant: &Tenant) -> Result<()> {
    let (former, generation) = (store_id(tenant).await?, generation(tenant).await?);
    let hsms = gateways_view(installation, tenant).await?;
    object::delete_unprotected(&tenant.keys(), NAME).await?;
    object::gone(&tenant.keys(), NAME).await?;
    let pod = installation.pods.names().pop().context("no pods")?;
    installation.pods.hold_down(&pod);
    tenant.disconnect(NAME).await?;
    let stores = tenant.stores();
    object::delete_unprotected(&stores, NAME).await?;
    object::gone(&stores, NAME).await?;

    let spec = json!({ "cloudHsmClusterRef": { "name": NAME }, "connection": "CONNECTED" });
    let successor = serde_json::from_value(json!({
        "apiVersion": "keystores.dev/v1alpha1", "kind": "CustomKeyStore", "metadata": { "name": NAME }, "spec": spec,
    }))?;
    stores.create(&PostParams::default(), &successor).await?;
    tenant.store_reaches(NAME, ConnectionState::Connected).await?;
    installation.pods.release(&pod);
    quickstart::every_hsm_serves(installation, tenant).await?;
    ensure!(store_id(tenant).await? != former, "the former store came back");
    nobody_honours_of(&hsms, &former, generation).await
}

/// What a run of an attempt registered before it crashed is gone when the attempt fails, at whatever step that is.
async fn failed_after_a_crash(installation: &mut Installation, tenant: &Tenant) -> Result<()> {
    let hsms = gateways_view(installation, tenant).await?;
    tenant.disconnect(NAME).await?;
    stop_controllers(installation);
    tenant.want_connection(NAME, "CONNECTED").await?;
    controllers_die_at(installation, "connect.register-delegates:lost-reply").await?;
    let (id, generation) = (store_id(tenant).await?, generation(tenant).await?);
    let honoured = opened_by_each(&hsms, &id, generation).await?.iter().any(|(_, opened)| opened.is_ok());
    ensure!(honoured, "no HSM had a delegate of generation {generation} to leave");

    installation.apply(&password_secret(NAME, "supplied", "wrong0password1"))?;
    tenant.supply_password(NAME, "supplied").await?;
    stop_controllers(installation);
    start_controllers(installation).await?;
    assert_eq!(tenant.store_fails(NAME).await?, ConnectionErrorCode::InvalidCredentials);
    nobody_honours(&hsms, tenant, generation).await
}

async fn generation(tenant: &Tenant) -> Result<u64> {
    let status = tenant.stores().get(NAME).await?.status.context("no status")?;
    Ok(u64::try_from(status.connection_generation.context("no generation")?)?)
}

async fn gateways_view(installation: &Installation, tenant: &Tenant) -> Result<Hsms> {
    let client = installation.admin().await?;
    Hsms::of(&client, &tenant.clusters().get(NAME).await?).await?.as_the_gateway(&client).await
}

fn condition(store: &CustomKeyStore, kind: &str) -> Option<Condition> {
    store.status.clone().unwrap_or_default().conditions.into_iter().find(|condition| condition.type_ == kind)
}

async fn unconfirmed(tenant: &Tenant) -> Result<Option<Condition>> {
    let store = tenant.stores().get(NAME).await?;
    let state = store.status.as_ref().and_then(|status| status.connection_state);
    ensure!(state == Some(ConnectionState::Disconnected), "{state:?}");
    Ok(condition(&store, "Unconfirmed"))
}

/// Waits until no HSM is left that was not told of the disconnect.
async fn becomes_certain(tenant: &Tenant) -> Result<()> {
    until("the store to be disconnected for certain", PATIENCE, || async {
        Ok(unconfirmed(tenant).await?.map_or(Look::Done(()), |said| Look::NotYet(said.message)))
    })
    .await
}

async fn store_id(tenant: &Tenant) -> Result<String> {
    tenant.stores().get(NAME).await?.spec.custom_key_store_id.context("no store id")
}

/// What each HSM answers the very certificate that a store's generation was opened to.
async fn opened_by_each(
    hsms: &Hsms,
    store_id: &str,
    generation: u64,
) -> Result<Vec<(String, std::result::Result<(), HsmError>)>> {
    let mut opened = Vec::new();
    for session in hsms.sessions().await? {
        opened.push((session.identity().hsm_id.clone(), session.open_delegation(store_id, generation).await));
    }
    Ok(opened)
}

/// The generation of the tenant's store is dead on every HSM.
async fn nobody_honours(hsms: &Hsms, tenant: &Tenant, generation: u64) -> Result<()> {
    nobody_honours_of(hsms, &store_id(tenant).await?, generation).await
}

async fn nobody_honours_of(hsms: &Hsms, store_id: &str, generation: u64) -> Result<()> {
    for (hsm, opened) in opened_by_each(hsms, store_id, generation).await? {
        assert_eq!(opened, Err(HsmError::Refused(ReturnCode::DelegationNotLive)), "{hsm} honours it");
    }
    Ok(())
}
