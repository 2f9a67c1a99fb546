//! Who owns `spec.connection` of a store: a field that a manifest sets belongs to it (D17).

use kube::ResourceExt;
use operator_api::CustomKeyStore;
use operator_api::field_manager::KMS_API;

/// The field manager, other than the gateway, that has set `spec.connection`.
pub(super) fn manifest_owner(store: &CustomKeyStore) -> Option<String> {
    let owner = store.managed_fields().iter().find(|entry| {
        let sets = entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:connection").is_some());
        sets && entry.manager.as_deref() != Some(KMS_API)
    })?;
    Some(owner.manager.clone().unwrap_or_else(|| "unknown".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn store(managed_fields: &Value) -> CustomKeyStore {
        serde_json::from_value(json!({
            "apiVersion": "keystores.dev/v1alpha1", "kind": "CustomKeyStore",
            "metadata": {"name": "s", "managedFields": managed_fields},
            "spec": {"cloudHsmClusterRef": {"name": "c"}, "connection": "CONNECTED"}
        }))
        .unwrap()
    }

    #[test]
    fn the_connection_belongs_to_whoever_set_it_but_not_to_the_api_itself() {
        let sets = json!({"f:spec": {"f:connection": {}, "f:cloudHsmClusterRef": {}}});
        let does_not = json!({"f:spec": {"f:cloudHsmClusterRef": {}}});
        let entry = |manager: &str, fields: &Value| {
            json!({"manager": manager, "operation": "Apply", "apiVersion": "keystores.dev/v1alpha1",
                   "fieldsType": "FieldsV1", "fieldsV1": fields})
        };
        let table = [
            (json!([]), None),
            (json!([entry("kubectl", &does_not)]), None),
            (json!([entry("kms-api", &sets)]), None),
            (json!([entry("kms-api", &sets), entry("kubectl", &does_not)]), None),
            (json!([entry("kms-api", &sets), entry("flux", &sets)]), Some("flux".to_owned())),
        ];
        for (fields, expected) in table {
            assert_eq!(manifest_owner(&store(&fields)), expected, "{fields}");
        }
    }
}
