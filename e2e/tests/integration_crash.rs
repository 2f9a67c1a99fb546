//! The leader dies at every effect of connect and of key creation: before it, after it with the answer lost, and after.
//!
//! Each plan starts a leader that kills itself at one named effect, lets a healthy one take over, and compares the end
//! with that of an undisturbed run: connected, the password known on every HSM, exactly one key, no false
//! USER_LOGGED_IN (INV-19…INV-27, L3: windows this narrow are found by aiming, not by chance).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::hsm::Hsms;
use e2e::installation::{Installation, SYSTEM_NAMESPACE, VAULT_NAMESPACE};
use e2e::quickstart::{self, NAME};
use e2e::scenario::{PATIENCE, Tenant};
use e2e::wait::{Look, until};
use hsm_client::command::KeySearch;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use operator_api::kms_key::KeyState;
use operator_api::{ConnectionState, CustomKeyStore};
use operator_controllers::effect::Site;

const MOMENTS: [&str; 3] = ["before", "lost-reply", "after"];

fn sites_of(prefixes: &[&str]) -> Vec<&'static str> {
    Site::ALL
        .iter()
        .map(|site| site.name())
        .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

/// Replaces the healthy leader by one that follows `plan`; returns when that one has died there.
async fn crash(installation: &mut Installation, plan: &str) -> Result<bool> {
    installation.controllers.clear();
    installation.start_controllers(2, &[("KEYSTORE_CRASH_AT", plan)]).await?;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut died = false;
    while !died && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let process = installation.controllers.get_mut(&2).context("no second leader")?;
        died = process.ended()?.is_some();
    }
    installation.controllers.clear();
    if died {
        // The process is gone for certain, so nobody has to wait until its lease runs out (15 s in each of some fifty plans).
        installation.kubectl(&["delete", "lease", "keystore-operator", "--namespace", SYSTEM_NAMESPACE])?;
    }
    Ok(died)
}

/// P1, INV-24…INV-27.
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_connect() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut reached = 0;
    for site in sites_of(&["connect.", "store.status"]) {
        for moment in MOMENTS {
            let plan = format!("{site}:{moment}");
            tenant.disconnect(NAME).await.with_context(|| plan.clone())?;
            installation.controllers.clear();
            tenant.want_connection(NAME, "CONNECTED").await?;
            reached += usize::from(crash(&mut installation, &plan).await?);
            installation.start_controllers(1, &[]).await?;
            let store = connected_without_a_false_alarm(&tenant).await;
            let store = store.with_context(|| format!("{plan}\n{}", installation.last_words()))?;
            passwords_are_known(&installation, &tenant, &store).await.with_context(|| plan.clone())?;
        }
    }
    let plans = sites_of(&["connect.", "store.status"]).len() * MOMENTS.len();
    println!("connect: {reached} of {plans} plans reached their effect");
    ensure!(reached * 10 >= plans * 9, "only {reached} of {plans} plans reached their effect: the aim is off");
    Ok(())
}

async fn connected_without_a_false_alarm(tenant: &Tenant) -> Result<CustomKeyStore> {
    let stores = tenant.stores();
    until("the store to be CONNECTED", PATIENCE, || async {
        let store = stores.get(NAME).await?;
        let status = store.status.clone().unwrap_or_default();
        ensure!(status.connection_state != Some(ConnectionState::Failed), "FAILED: {:?}", status.connection_error_code);
        Ok(if status.connection_state == Some(ConnectionState::Connected) {
            Look::Done(store)
        } else {
            Look::NotYet(format!("{:?}", status.connection_state))
        })
    })
    .await
}

/// INV-24: the ring's active password logs in on every HSM, and nothing was spent on guesses (INV-26).
async fn passwords_are_known(installation: &Installation, tenant: &Tenant, store: &CustomKeyStore) -> Result<()> {
    let client = installation.admin().await?;
    let hsms = Hsms::of(&client, &tenant.cluster_is_active(NAME).await?).await?;
    let secrets: Api<Secret> = Api::namespaced(client, VAULT_NAMESPACE);
    let ring = secrets.get(&format!("{}-kmsuser", hsms.cluster_id())).await?;
    let password = e2e::ring::active_password(&ring)?;
    ensure!(store.spec.custom_key_store_id.is_some(), "no store id");
    for session in hsms.sessions().await? {
        // Not the user's failure count: that is 1 while a login is being verified (INV-62), and 0 after the next success.
        let commands = session.hsm_info().await?.commands;
        let logins = commands.iter().filter(|count| count.command == hsm_protocol::Command::Login as u32);
        let refused: u64 = logins.map(|count| count.refused).sum();
        ensure!(refused == 0, "{refused} refused logins on {}", session.identity().hsm_id);
        session.login("kmsuser", &password).await.with_context(|| format!("on {}", session.identity().hsm_id))?;
        session.logout().await?;
    }
    Ok(())
}

/// P2, INV-19, INV-20.
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_key_creation() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let sites: Vec<_> =
        sites_of(&["key.", "object.finalizer"]).into_iter().filter(|site| *site != "key.state").collect();
    let mut reached = 0;
    for (number, site) in sites.iter().enumerate() {
        for moment in MOMENTS {
            let (plan, name) = (format!("{site}:{moment}"), format!("key-{number}-{moment}"));
            installation.controllers.clear();
            tenant.declare_key(&name, NAME).await?;
            reached += usize::from(crash(&mut installation, &plan).await?);
            installation.start_controllers(1, &[]).await?;
            let key = tenant.key_reaches(&name, KeyState::Enabled).await;
            let key = key.with_context(|| format!("{plan}\n{}", installation.last_words()))?;
            exactly_one_key(&installation, &tenant, &name, &key).await.with_context(|| plan.clone())?;
        }
    }
    let plans = sites.len() * MOMENTS.len();
    println!("key creation: {reached} of {plans} plans reached their effect");
    ensure!(reached * 10 >= plans * 9, "only {reached} of {plans} plans reached their effect: the aim is off");
    Ok(())
}

async fn exactly_one_key(
    installation: &Installation,
    tenant: &Tenant,
    name: &str,
    key: &operator_api::KmsKey,
) -> Result<()> {
    let hsms = Hsms::of(&installation.admin().await?, &tenant.cluster_is_active(NAME).await?).await?;
    let search = KeySearch { namespace: NAME.to_owned(), name: name.to_owned(), after: None, limit: 10 };
    let mut holders = 0;
    for session in hsms.officer_sessions().await? {
        let found = session.find_keys(&search).await?.keys;
        ensure!(found.len() <= 1, "{} holds {} keys of {name}", session.identity().hsm_id, found.len());
        for record in found {
            ensure!(Some(hex::encode(record.fingerprint)) == key.spec.material_fingerprint, "another fingerprint");
            holders += 1;
        }
    }
    ensure!(holders >= 2, "{name} is Enabled with {holders} copies (D8)");
    Ok(())
}
