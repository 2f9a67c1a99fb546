//! Connection errors caused for real: wrong passwords, a locked user, HSMs that are gone, a cluster that never was.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::hsm::Hsms;
use e2e::installation::{Installation, VAULT_NAMESPACE};
use e2e::object;
use e2e::quickstart::{self, NAME};
use e2e::scenario::{PATIENCE, Tenant, password_secret};
use e2e::wait::{Look, until};
use hsm_client::ReturnCode;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use operator_api::kms_key::KeyState;
use operator_api::{ConnectionErrorCode, ConnectionState};
use serde_json::json;

/// How often HSMs are taken away before the connect is called untouched by it.
const MOST_ATTEMPTS: usize = 5;

async fn connect_with_password(
    installation: &Installation,
    tenant: &Tenant,
    password: &str,
) -> Result<ConnectionErrorCode> {
    installation.apply(&password_secret(NAME, "supplied", password))?;
    tenant.supply_password(NAME, "supplied").await?;
    tenant.want_connection(NAME, "CONNECTED").await?;
    tenant.store_fails(NAME).await
}

/// SCN-2, SCN-3, CKS-40, INV-32, INV-61, T-29.
#[tokio::test]
async fn wrong_passwords_fail_with_invalid_credentials_and_five_of_them_lock_the_user_out() -> Result<()> {
    let installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    tenant.disconnect(NAME).await?;
    for attempt in 1..=5 {
        let code = connect_with_password(&installation, &tenant, &format!("wrong0password{attempt}")).await?;
        assert_eq!(code, ConnectionErrorCode::InvalidCredentials, "attempt {attempt}");
        let failures = failures_on_each(&installation, &tenant).await?;
        assert_eq!(failures, [attempt, 0, 0], "one attempt spends one failure, on the lowest HSM id");
        if attempt == 1 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let store = tenant.stores().get(NAME).await?.status.context("no status")?;
            assert_eq!(
                store.connection_state,
                Some(ConnectionState::Failed),
                "nothing leaves FAILED by itself (INV-32)"
            );
            assert_eq!(failures_on_each(&installation, &tenant).await?, [1, 0, 0], "FAILED spends no further attempts");
        }
        tenant.key_reaches(NAME, KeyState::Unavailable).await?;
        tenant.disconnect(NAME).await?;
        let store = tenant.stores().get(NAME).await?.status.context("no status")?;
        let last = store.last_connection_error.context("the last error is gone (CKS-51)")?;
        assert_eq!(last.code, ConnectionErrorCode::InvalidCredentials);
    }
    let code = connect_with_password(&installation, &tenant, "wrong0password6").await?;
    assert_eq!(code, ConnectionErrorCode::UserLockedOut);
    assert_eq!(failures_on_each(&installation, &tenant).await?, [5, 0, 0], "a locked user is not tried again");
    tenant.disconnect(NAME).await?;
    tenant.patch_store(NAME, json!({ "spec": { "keyStorePasswordSecretRef": null } })).await?;
    tenant.want_connection(NAME, "CONNECTED").await?;
    assert_eq!(
        tenant.store_fails(NAME).await?,
        ConnectionErrorCode::UserLockedOut,
        "the right password does not unlock"
    );
    Ok(())
}

/// Failed logins of `kmsuser` in the order of HSM ids.
async fn failures_on_each(installation: &Installation, tenant: &Tenant) -> Result<Vec<u32>> {
    let cluster = tenant.clusters().get(NAME).await?;
    let mut found = Vec::new();
    for session in Hsms::of(&installation.admin().await?, &cluster).await?.sessions().await? {
        let user = session.user_info("kmsuser").await?.context("no kmsuser")?;
        found.push((session.identity().hsm_id.clone(), user.failures));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, failures)| failures).collect())
}

/// INV-28, SCN-16: whoever knew the password before the connect has lost it, on every HSM.
#[tokio::test]
async fn the_password_from_before_a_connect_is_refused_on_every_hsm() -> Result<()> {
    let installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    tenant.disconnect(NAME).await?;
    let cluster = tenant.clusters().get(NAME).await?;
    let client = installation.admin().await?;
    let hsms = Hsms::of(&client, &cluster).await?;
    let before = active_password(&client, hsms.cluster_id()).await?;
    for session in hsms.sessions().await? {
        session.login("kmsuser", &before).await.context("the ring's active password is the true one (INV-24)")?;
        session.logout().await?;
    }
    tenant.connect(NAME).await?;
    quickstart::every_hsm_serves(&installation, &tenant).await?;
    let after = active_password(&client, hsms.cluster_id()).await?;
    assert_ne!(before, after, "CKS-43: rotated on every connect");
    for session in hsms.sessions().await? {
        let refused = session.login("kmsuser", &before).await.expect_err("the old password still works");
        assert_eq!(refused.code(), Some(ReturnCode::LoginFailure));
    }
    Ok(())
}

async fn active_password(client: &kube::Client, cluster_id: &str) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), VAULT_NAMESPACE);
    e2e::ring::active_password(&secrets.get(&format!("{cluster_id}-kmsuser")).await?)
}

/// Spec 2.6 step 3.
#[tokio::test]
async fn hsms_that_are_gone_after_connecting_lead_to_insufficient_hsms_and_a_reconnect_heals() -> Result<()> {
    let installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    tenant.disconnect(NAME).await?;
    let mut codes = Vec::new();
    while codes.last() != Some(&Some(ConnectionErrorCode::InsufficientCloudhsmHsms)) {
        ensure!(codes.len() < MOST_ATTEMPTS, "{codes:?}");
        for pod in installation.pods.names() {
            installation.pods.hold_down(&pod);
        }
        tenant.want_connection(NAME, "CONNECTED").await?;
        codes.push(fails_or_is_refused(&tenant).await?);
        for pod in installation.pods.names() {
            installation.pods.release(&pod);
        }
        tenant.disconnect(NAME).await?;
        tenant.cluster_is_active(NAME).await?;
    }
    tenant.connect(NAME).await?;
    tenant.key_reaches(NAME, KeyState::Enabled).await?;
    Ok(())
}

/// The code of the failed connect, or nothing when it was refused: the cluster may be seen without HSMs before the connect begins, and then it
/// does not begin (INV-34); or seen as it was for so long that nobody says that they are gone.
async fn fails_or_is_refused(tenant: &Tenant) -> Result<Option<ConnectionErrorCode>> {
    until("the connect to fail", PATIENCE, || async {
        let status = tenant.stores().get(NAME).await?.status.unwrap_or_default();
        let refused = |it: &Condition| it.type_ == "Accepted" && it.status == "False";
        Ok(match status.connection_state {
            Some(ConnectionState::Failed) => Look::Done(status.connection_error_code),
            Some(ConnectionState::Disconnected) if status.conditions.iter().any(refused) => Look::Done(None),
            state => Look::NotYet(format!("{state:?} {:?}", status.conditions)),
        })
    })
    .await
}

/// Spec 2.3 row 5, INV-34: easily seen mistakes do not lead to FAILED.
#[tokio::test]
async fn a_store_that_names_a_missing_cluster_is_not_accepted_and_stays_disconnected() -> Result<()> {
    let installation = Installation::start().await?;
    let store = "apiVersion: keystores.dev/v1alpha1
kind: CustomKeyStore
metadata: {name: lost, namespace: default}
spec: {cloudHsmClusterRef: {name: nowhere}, connection: CONNECTED}
";
    installation.apply(store)?;
    let tenant = Tenant::new(installation.admin().await?, "default");
    let stores = tenant.stores();
    let refused = object::says(&stores, "lost", "Accepted", "False").await?;
    assert_eq!(refused.reason, "CloudHsmClusterNotFoundException");
    let status = stores.get("lost").await?.status.context("no status")?;
    assert_ne!(status.connection_state, Some(ConnectionState::Failed));
    assert_eq!(status.connection_error_code, None);
    Ok(())
}
