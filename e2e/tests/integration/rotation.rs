//! `kmsuser`'s password beyond the ordinary rotation: its Secret deleted, with and without somebody who remembers it, or put back from a backup
//! (P1, INV-24, INV-26).

use anyhow::{Context, Result, ensure};
use e2e::hsm::{Hsms, refused_logins};
use e2e::installation::{Installation, VAULT_NAMESPACE};
use e2e::object;
use e2e::quickstart::{self, NAME};
use e2e::ring::active_password;
use e2e::scenario::{PATIENCE, Tenant, password_secret};
use e2e::wait::{Look, until};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use operator_api::kms_key::KeyState;
use operator_api::{ConnectionErrorCode, ConnectionState};

/// P1, last row but one: whoever remembers the ring puts it back, and says so. Also when somebody else was faster, with a backup from before the
/// last rotation: the password that all HSMs have is in memory only then.
#[tokio::test]
async fn a_ring_deleted_or_replaced_by_an_older_one_while_connected_is_put_back_and_its_store_is_told() -> Result<()> {
    let installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let (client, hsms) = (installation.admin().await?, hsms(&installation, &tenant).await?);
    let before = active_password(&ring(&client, &hsms).await?.context("no ring")?)?;
    delete_ring(&installation, &hsms)?;
    // A session that ends makes the store look after its HSMs, and so after its ring.
    installation.pods.kill(installation.pods.names().first().context("no pods")?);
    let restored = until("the ring to be back", PATIENCE, || async {
        Ok(ring(&client, &hsms).await?.map_or(Look::NotYet("it is not there".to_owned()), Look::Done))
    })
    .await?;
    ensure!(active_password(&restored)? == before, "other passwords than before");
    told(&client, "RingRestored", 1).await?;
    in_service(&tenant).await?;
    let state = tenant.stores().get(NAME).await?.status.context("no status")?.connection_state;
    assert_eq!(state, Some(ConnectionState::Connected));
    tenant.disconnect(NAME).await?;
    tenant.connect(NAME).await?;

    let current = active_password(&ring(&client, &hsms).await?.context("no ring")?)?;
    ensure!(current != before, "CKS-43: rotated on every connect");
    put_back_an_older_ring(&installation, &client, &hsms, &restored).await?;
    // Another one than before, which took part in the rotation for certain.
    let pods = installation.pods.names();
    kill_and_wait_until_it_runs(&installation, pods.last().context("no pods")?).await?;
    until("the newer ring to be back", PATIENCE, || async {
        let stored = ring(&client, &hsms).await?.map(|secret| active_password(&secret)).transpose()?;
        Ok(if stored.as_ref() == Some(&current) { Look::Done(()) } else { Look::NotYet("not yet".to_owned()) })
    })
    .await?;
    told(&client, "RingRestored", 2).await?;
    hsms.each_has_done(hsm_protocol::Command::Login).await?;
    in_service(&tenant).await?;
    no_login_was_refused(&hsms).await
}

/// P1, last row: nobody remembers. The store serves, says what is lost and what the cure is, and the cure works.
#[tokio::test]
async fn a_ring_deleted_past_recall_is_a_condition_then_invalid_credentials_and_an_officer_cures_it() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let (client, hsms) = (installation.admin().await?, hsms(&installation, &tenant).await?);
    installation.controllers.clear();
    delete_ring(&installation, &hsms)?;
    installation.free_lease().await?;
    installation.start_controllers(2, &[]).await?;
    let gone = object::says(&tenant.stores(), NAME, "RingGone", "True").await?.message;
    ensure!(gone.contains("changePswd") && gone.contains("keyStorePasswordSecretRef"), "no cure: {gone}");
    let state = tenant.stores().get(NAME).await?.status.context("no status")?.connection_state;
    assert_eq!(state, Some(ConnectionState::Connected), "a store does not leave CONNECTED by itself (D3)");

    tenant.disconnect(NAME).await?;
    tenant.want_connection(NAME, "CONNECTED").await?;
    assert_eq!(tenant.store_fails(NAME).await?, ConnectionErrorCode::InvalidCredentials);
    let last = tenant.stores().get(NAME).await?.status.and_then(|status| status.last_connection_error);
    let message = last.context("no last error")?.message;
    ensure!(message.contains("changePswd"), "no cure: {message}");
    tenant.disconnect(NAME).await?;

    hsms.officer_sets_password("theOfficersChoice1", 1).await?;
    installation.apply(&password_secret(NAME, "supplied", "theOfficersChoice1"))?;
    tenant.supply_password(NAME, "supplied").await?;
    tenant.connect(NAME).await?;
    tenant.key_reaches(NAME, KeyState::Enabled).await?;
    let now = active_password(&ring(&client, &hsms).await?.context("no ring")?)?;
    ensure!(now != "theOfficersChoice1", "CKS-43: rotated on every connect");
    no_login_was_refused(&hsms).await
}

async fn hsms(installation: &Installation, tenant: &Tenant) -> Result<Hsms> {
    Hsms::of(&installation.admin().await?, &tenant.clusters().get(NAME).await?).await
}

async fn ring(client: &Client, hsms: &Hsms) -> Result<Option<Secret>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), VAULT_NAMESPACE);
    Ok(secrets.get_opt(&format!("{}-kmsuser", hsms.cluster_id())).await?)
}

/// What the protection policies are there to prevent, past them (D5).
fn delete_ring(installation: &Installation, hsms: &Hsms) -> Result<()> {
    let name = format!("{}-kmsuser", hsms.cluster_id());
    ensure!(
        installation.kubectl(&["delete", "secret", &name, "--namespace", VAULT_NAMESPACE]).is_err(),
        "a plain delete went through"
    );
    let unprotect = ["annotate", "secret", &name, "--namespace", VAULT_NAMESPACE, "keystores.dev/unprotect=true"];
    installation.kubectl(&unprotect)?;
    installation.kubectl(&["delete", "secret", &name, "--namespace", VAULT_NAMESPACE])?;
    Ok(())
}

/// The Secret as a backup has it, created at once after the present one was deleted: before the controllers look, or else once more.
async fn put_back_an_older_ring(
    installation: &Installation,
    client: &Client,
    hsms: &Hsms,
    saved: &Secret,
) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), VAULT_NAMESPACE);
    let metadata = ObjectMeta { name: saved.metadata.name.clone(), ..ObjectMeta::default() };
    let older = Secret { metadata, ..saved.clone() };
    until("the older ring to be there", PATIENCE, || async {
        delete_ring(installation, hsms)?;
        match secrets.create(&PostParams::default(), &older).await {
            Ok(_) => Ok(Look::Done(())),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Look::NotYet("put back".to_owned())),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

async fn kill_and_wait_until_it_runs(installation: &Installation, pod: &str) -> Result<()> {
    let before = installation.pods.starts(pod);
    installation.pods.kill(pod);
    until(&format!("{pod} to run again"), PATIENCE, || async {
        let starts = installation.pods.starts(pod);
        Ok(if starts > before { Look::Done(()) } else { Look::NotYet(format!("{starts} starts")) })
    })
    .await
}

/// Waits until the event was published so many times.
async fn told(client: &Client, reason: &str, times: i32) -> Result<()> {
    let events: Api<Event> = Api::namespaced(client.clone(), NAME);
    until(&format!("the event {reason}, {times} times"), PATIENCE, || async {
        let seen = events.list(&ListParams::default()).await?.into_iter();
        let seen: Vec<_> = seen.map(|one| (one.reason, one.series.map_or(1, |series| series.count))).collect();
        let told: i32 = seen.iter().filter(|(one, _)| one.as_deref() == Some(reason)).map(|(_, times)| times).sum();
        Ok(if told >= times { Look::Done(()) } else { Look::NotYet(format!("{seen:?}")) })
    })
    .await
}

async fn in_service(tenant: &Tenant) -> Result<()> {
    let stores = tenant.stores();
    until("every HSM to be in service", PATIENCE, || async {
        let conditions = stores.get(NAME).await?.status.unwrap_or_default().conditions;
        let pending = conditions.iter().find(|one| one.type_ == "CredentialsPending");
        Ok(pending.map_or(Look::Done(()), |pending| Look::NotYet(pending.message.clone())))
    })
    .await
}

/// INV-26.
async fn no_login_was_refused(hsms: &Hsms) -> Result<()> {
    for session in hsms.sessions().await? {
        let refused = refused_logins(&session).await?;
        ensure!(refused == 0, "{refused} refused logins on {}", session.identity().hsm_id);
    }
    Ok(())
}
