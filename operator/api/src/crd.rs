//! The CustomResourceDefinitions of all kinds and their YAML: what `keystore-operator crds` prints and `crds/` holds.

use crate::{CloudHsmCluster, CustomKeyStore, KeystoreAccount, KeystoreClaim, KmsAccessKey, KmsAlias, KmsKey};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

/// First lines of every generated file.
const HEAD: &str =
    "# Generated from operator/api by `keystore-operator crds`. Change the Rust types, then run `make generate`.\n";

/// Every kind with the name of its file in `crds/`, in the order of the file names.
pub fn custom_resource_definitions() -> Vec<(&'static str, CustomResourceDefinition)> {
    [
        ("cloudhsmclusters.yaml", CloudHsmCluster::crd()),
        ("customkeystores.yaml", CustomKeyStore::crd()),
        ("keystoreaccounts.yaml", KeystoreAccount::crd()),
        ("keystoreclaims.yaml", KeystoreClaim::crd()),
        ("kmsaccesskeys.yaml", KmsAccessKey::crd()),
        ("kmsaliases.yaml", KmsAlias::crd()),
        ("kmskeys.yaml", KmsKey::crd()),
    ]
    .into_iter()
    .map(|(file, crd)| (file, structural(crd)))
    .collect()
}

/// The definition as YAML, with a comment that names the command that makes it.
///
/// # Errors
/// Only if a definition cannot be written as YAML, which the tests rule out for ours.
pub fn to_yaml(definition: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(definition).map(|body| format!("{HEAD}{body}"))
}

/// Takes out of the derived schema what Kubernetes reads differently from JSON Schema.
fn structural(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|validation| validation.open_api_v3_schema.as_mut()) {
            plain(schema);
        }
    }
    definition
}

/// `nullable` goes: without it the API server drops a null before any rule sees it, so `hold: null` means "absent" and
/// a set-once rule cannot be blocked by a null. Formats that the API server does not know go too, ranges stay.
fn plain(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(values) = schema.enum_.as_mut() {
        values.retain(|value| !value.0.is_null());
    }
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = None;
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        plain(property);
    }
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(item)) => plain(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(plain),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = schema.additional_properties.as_mut() {
        plain(value);
    }
}
