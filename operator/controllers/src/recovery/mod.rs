//! Recovery records (D5): written before an object's status says that it is there, read before a new identity is made under an old name.
//!
//! Design put them into the HSM. They are ConfigMaps in the vault namespace instead, because nobody can reach an HSM without the cluster's id,
//! CAs and passwords, and those are found there too: records and what opens the HSMs live and die together. What only the HSM may say (that the
//! key exists, its ARN, its fingerprint) stays in the HSM's own record of each key, sealed and on every HSM.
//!
//! No code path deletes a record: material outlives objects (INV-12, INV-52), so does the knowledge of how to reach it.

mod removal;
mod written;

pub use removal::note_removal;
pub use written::Written;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::ObjectMeta};
use operator_api::{RecordedKind, RecoveryRecord, labels};
use serde_json::json;

use crate::{
    context::Context,
    effect::{self, Site},
    read::ReadError,
    report::{Controller, Failure, Retry},
    write::WriteError,
};

/// A record could not be read or written; whether it was written the next try finds out (INV-23).
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// See [`ReadError`].
    #[error(transparent)]
    Read(#[from] ReadError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An entry that was written by hand, or by a newer version.
    #[error("failed to understand entry {entry} of recovery record {name}: correct it by hand")]
    Malformed {
        /// Name of the ConfigMap.
        name: String,
        /// Its entry.
        entry: String,
    },
}

impl Failure for RecoveryError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read(error) => error.reason(),
            Self::Write(error) => error.reason(),
            Self::Malformed { .. } => "RecoveryRecordMalformed",
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Sees to it that the record is stored as it is; returns once etcd has it. Other identities recorded under the same name stay.
///
/// Costs nothing while this process knows that it is stored, which it believes for an hour.
///
/// # Errors
/// [`RecoveryError`]; then nothing may be acknowledged.
pub async fn keep(
    context: &Context,
    controller: Controller,
    site: Site,
    record: &RecoveryRecord,
) -> Result<(), RecoveryError> {
    let Some((name, entry)) = record.place() else { return Ok(()) };
    let text = serde_json::to_string_pretty(record).unwrap_or_default();
    if context.records.has(&name, &entry, &text) {
        return Ok(());
    }
    let (api, writes) = (api(context), context.writes(controller));
    match read(&api, &name).await? {
        None => {
            let map = config_map(record, &name, &entry, &text);
            effect::at(site, writes.create(&api, &map)).await?;
        }
        Some(stored) if stored.data.as_ref().and_then(|data| data.get(&entry)) == Some(&text) => {}
        Some(stored) => {
            let patch = json!({ "data": { &entry: &text } });
            effect::at(site, writes.patch(&api, &stored, patch)).await?;
        }
    }
    context.records.note(&name, &entry, &text);
    Ok(())
}

/// Everything that is recorded under a name, by a quorum read.
///
/// # Errors
/// [`RecoveryError`]; an entry that cannot be understood is an error and not an absence.
pub async fn lookup(
    context: &Context,
    kind: RecordedKind,
    namespace: &str,
    name: &str,
) -> Result<Vec<RecoveryRecord>, RecoveryError> {
    let map = kind.config_map(namespace, name);
    let entries = read(&api(context), &map).await?.and_then(|stored| stored.data).unwrap_or_default();
    let parsed = entries.into_iter().map(|(entry, text)| {
        serde_json::from_str(&text).map_err(|_| RecoveryError::Malformed { name: map.clone(), entry })
    });
    parsed.collect()
}

async fn read(api: &Api<ConfigMap>, name: &str) -> Result<Option<ConfigMap>, RecoveryError> {
    Ok(api.get_opt(name).await.map_err(ReadError::of(format!("recovery record {name}")))?)
}

fn config_map(record: &RecoveryRecord, name: &str, entry: &str, text: &str) -> ConfigMap {
    let kind = record.kind().map(|kind| kind.as_str().to_ascii_lowercase()).unwrap_or_default();
    let labels = [
        (labels::RECOVERY_RECORD, kind.as_str()),
        (labels::TENANT_NAMESPACE, record.namespace()),
        (labels::MANAGED_BY, labels::OPERATOR),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let data = [(entry.to_owned(), text.to_owned())].into();
    ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }
}

fn api(context: &Context) -> Api<ConfigMap> {
    Api::namespaced(context.client.clone(), &context.namespaces().vault)
}

/// The identity that stands recorded under a name that has none yet: a new one must not be made behind it (D2). What was removed on purpose
/// stands for nothing any more.
///
/// # Errors
/// As [`lookup`].
pub async fn former_identity(
    context: &Context,
    kind: RecordedKind,
    namespace: &str,
    name: &str,
) -> Result<Option<String>, RecoveryError> {
    let records = lookup(context, kind, namespace, name).await?;
    let standing = records.iter().filter(|record| record.removed.is_none());
    Ok(standing.filter_map(RecoveryRecord::identity).next().map(str::to_owned))
}

/// What an owner does whose object has the name of recorded material.
#[must_use]
pub fn cure(kind: RecordedKind, identity: &str) -> String {
    let field = kind.identity_fields().first().copied().unwrap_or("name");
    format!(
        "run `kubectl keystore recover`, or set spec.{field} to {identity} (needs the verb adopt), or use another name"
    )
}
