//! The recovery record of a key: its manifest, its ARN and whose HSMs have it, stored before the key is shown as usable (D5).

use operator_api::{KmsKey, RecordedKind, RecoveryRecord};

use super::{error::KeyError, observe::Observed};
use crate::{context::Context, effect::Site, recovery, report::Controller};

/// Stores the record of a key whose material is durable. Nothing is stored while ARN and cluster are not known, which is before the first
/// acknowledgement and, for an object that has come back, until its store is connected: its old record says more then.
///
/// # Errors
/// [`KeyError::Recovery`]; then no state may be shown that was not shown before.
pub(super) async fn keep(context: &Context, key: &KmsKey, observed: &Observed) -> Result<(), KeyError> {
    match of(key, observed) {
        Some(record) => Ok(recovery::keep(context, Controller::KmsKey, Site::KeyRecord, &record).await?),
        None => Ok(()),
    }
}

fn of(key: &KmsKey, observed: &Observed) -> Option<RecoveryRecord> {
    key.spec.material_fingerprint.as_ref()?;
    let status = key.status.as_ref();
    let store = observed.store.as_ref().and_then(|store| store.status.as_ref());
    let arn = status.and_then(|status| status.arn.clone());
    let arn = arn.or_else(|| observed.records.first().map(|record| record.label.clone()))?;
    let cluster_id = status.and_then(|status| status.cloud_hsm_cluster_id.clone());
    let cluster_id = cluster_id.or_else(|| store.and_then(|store| store.cloud_hsm_cluster_id.clone()))?;
    Some(RecoveryRecord {
        arn: Some(arn),
        cluster_id: Some(cluster_id),
        ..RecoveryRecord::of(RecordedKind::KmsKey, key)
    })
}
