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
    let label = observed.records.first().map(|record| record.label.clone());
    let store = observed.store.as_ref().and_then(|store| store.status.as_ref());
    let cluster_id = store.and_then(|store| store.cloud_hsm_cluster_id.clone());
    match of(key, label, cluster_id) {
        Some(record) => Ok(recovery::keep(context, Controller::KmsKey, Site::KeyRecord, &record).await?),
        None => Ok(()),
    }
}

/// `label` is the ARN in the HSMs, `cluster_id` the cluster of the store; what the status says already counts before both.
fn of(key: &KmsKey, label: Option<String>, cluster_id: Option<String>) -> Option<RecoveryRecord> {
    key.spec.material_fingerprint.as_ref()?;
    let status = key.status.as_ref();
    let arn = status.and_then(|status| status.arn.clone()).or(label)?;
    let cluster_id = status.and_then(|status| status.cloud_hsm_cluster_id.clone()).or(cluster_id)?;
    let record = RecoveryRecord::of(RecordedKind::KmsKey, key);
    Some(RecoveryRecord { arn: Some(arn), cluster_id: Some(cluster_id), ..record })
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_api::{KmsKeySpec, KmsKeyStatus};

    fn key(durable: bool) -> KmsKey {
        let spec = KmsKeySpec { material_fingerprint: durable.then(|| "ab".repeat(32)), ..KmsKeySpec::default() };
        KmsKey::new("k", spec)
    }

    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    /// D5: an old record says more than one without ARN and cluster, and one of material that is not durable would promise too much.
    #[test]
    fn a_key_is_recorded_once_it_is_durable_and_its_arn_and_cluster_are_known() {
        assert_eq!(of(&key(false), text("arn"), text("cluster-a")), None);
        assert_eq!(of(&key(true), None, text("cluster-a")), None);
        assert_eq!(of(&key(true), text("arn"), None), None);
        let record = of(&key(true), text("arn"), text("cluster-a")).unwrap();
        assert_eq!((record.arn, record.cluster_id), (text("arn"), text("cluster-a")));
    }

    /// D1: an ARN that was shown once stays.
    #[test]
    fn what_the_status_shows_is_what_is_recorded() {
        let mut key = key(true);
        key.status = Some(KmsKeyStatus { arn: text("first"), ..KmsKeyStatus::default() });
        assert_eq!(of(&key, text("second"), text("cluster-a")).unwrap().arn, text("first"));
    }
}
