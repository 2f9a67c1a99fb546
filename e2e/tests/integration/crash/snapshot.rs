//! End states, made comparable: what differs from run to run (epochs, ids, fingerprints) is shown by its relation to what it must equal.

use anyhow::{Context, Result};
use e2e::hsm::{Hsms, refused_logins};
use e2e::installation::{VAULT_NAMESPACE, entry};
use e2e::quickstart::NAME;
use hsm_client::command::KeySearch;
use hsm_client::{KMS_USER, Session};
use hsm_initialization::ring::{EntryState, Ring};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Client};
use operator_api::KmsKey;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::crash::bench::Bench;

/// The store's status, the ring, and what each HSM says of its users (P1, INV-24…INV-28).
pub(crate) async fn connection(bench: &Bench) -> Result<Value> {
    let store = bench.tenant.stores().get(NAME).await?;
    let status = store.status.unwrap_or_default();
    let ring = ring(&bench.client, &bench.hsms).await?;
    Ok(json!({
        "state": status.connection_state, "code": status.connection_error_code,
        "lastError": status.last_connection_error.map(|last| last.code),
        "conditions": conditions(&status.conditions),
        "ring": ring.entries().iter().map(|entry| state(entry.state)).collect::<Vec<_>>(),
        "hsms": users(&bench.hsms, &ring).await?,
    }))
}

/// The ring of the cluster of these HSMs.
pub(crate) async fn ring(client: &Client, hsms: &Hsms) -> Result<Ring> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), VAULT_NAMESPACE);
    let secret = secrets.get(&format!("{}-kmsuser", hsms.cluster_id())).await?;
    Ok(Ring::parse(Zeroizing::new(entry(&secret, "ring")?).as_bytes())?)
}

fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Intent => "intent",
        EntryState::Active => "active",
        EntryState::Retired => "retired",
    }
}

/// What each HSM says of its users, and whether the ring's password is in force there.
pub(crate) async fn users(hsms: &Hsms, ring: &Ring) -> Result<Vec<Value>> {
    let mut each = Vec::new();
    for session in hsms.sessions().await? {
        each.push(users_on(&session, ring).await.with_context(|| format!("on {}", session.identity().hsm_id))?);
    }
    Ok(each)
}

async fn users_on(session: &Session, ring: &Ring) -> Result<Value> {
    let active = ring.active().context("no active entry")?;
    let users = session.list_users().await?.into_iter().map(|user| {
        let epoch = if user.epoch == active.epoch { json!("the ring's") } else { json!(user.epoch) };
        json!({ "name": user.user, "type": user.user_type as i32, "epoch": epoch, "locked": user.locked })
    });
    let users: Vec<_> = users.collect();
    let refused = refused_logins(session).await?;
    let epoch = session.login(KMS_USER, active.password.expose()).await?.epoch;
    session.logout().await?;
    Ok(json!({ "users": users, "refused": refused, "the ring's password is in force": epoch == active.epoch }))
}

/// Type, status and reason of each condition.
pub(crate) fn conditions(conditions: &[Condition]) -> Value {
    conditions.iter().map(|one| json!([one.type_, one.status, one.reason])).collect()
}

/// What stands behind a key object on each HSM, and whether any HSM holds a key that no object names (INV-19, INV-20).
pub(crate) async fn key(bench: &Bench, name: &str, sessions: &[Session]) -> Result<Value> {
    let key = bench.tenant.keys().get(name).await?;
    let status = key.status.clone().unwrap_or_default();
    let mut hsms = Vec::new();
    for session in sessions {
        hsms.push(records(session, &key).await?);
    }
    Ok(json!({
        "state": status.key_state, "conditions": conditions(&status.conditions), "finalizers": key.metadata.finalizers,
        "arn names the key": status.arn.zip(key.spec.key_id).map(|(arn, id)| arn.ends_with(&id)),
        "hsms": hsms,
    }))
}

async fn records(session: &Session, key: &KmsKey) -> Result<Value> {
    let name = key.metadata.name.clone().unwrap_or_default();
    let search = KeySearch { namespace: NAME.to_owned(), name, after: None, limit: 10 };
    let records = session.find_keys(&search).await?.keys;
    let record = |record: &hsm_client::command::KeyRecord| {
        let fingerprint = Some(hex::encode(record.fingerprint)) == key.spec.material_fingerprint;
        json!({ "fingerprint is the object's": fingerprint, "enabled": record.enabled, "conflict": record.conflict })
    };
    Ok(records.iter().map(record).collect())
}
