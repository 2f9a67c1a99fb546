//! From ConfigMaps to records.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use operator_api::RecoveryRecord;

/// Every record, and the entries that are none: `<ConfigMap>/<entry>`.
pub(super) fn parse(maps: &[ConfigMap]) -> (Vec<RecoveryRecord>, Vec<String>) {
    let (mut records, mut damaged) = (Vec::new(), Vec::new());
    for map in maps {
        for (entry, text) in map.data.iter().flatten() {
            let record = serde_json::from_str::<RecoveryRecord>(text).ok();
            // A record in another's place was put there by hand; believing it could bring back what is somebody else's.
            match record.filter(|record| record.place() == Some((map.name_any(), entry.clone()))) {
                Some(record) => records.push(record),
                None => damaged.push(format!("{}/{entry}", map.name_any())),
            }
        }
    }
    (records, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_api::{KmsKey, KmsKeySpec, RecordedKind};

    #[test]
    fn an_entry_that_is_no_record_or_stands_in_anothers_place_is_named_and_not_believed() {
        let mut key = KmsKey::new("k", KmsKeySpec { key_id: Some("id-1".into()), ..KmsKeySpec::default() });
        key.metadata.namespace = Some("team-a".into());
        let text = serde_json::to_string(&RecoveryRecord::of(RecordedKind::KmsKey, &key)).unwrap();
        let map = |name: &str, entry: &str, text: &str| {
            let mut map = ConfigMap::default();
            map.metadata.name = Some(name.into());
            map.data = Some([(entry.to_owned(), text.to_owned())].into());
            map
        };
        let (records, damaged) = parse(&[
            map("kmskey.team-a.k", "id-1.json", &text),
            map("kmskey.team-b.k", "id-1.json", &text),
            map("kmskey.team-a.k", "id-2.json", &text),
            map("kmskey.team-a.l", "id-1.json", "{}"),
        ]);
        assert_eq!(records.len(), 1);
        assert_eq!(damaged, ["kmskey.team-b.k/id-1.json", "kmskey.team-a.k/id-2.json", "kmskey.team-a.l/id-1.json"]);
    }
}
