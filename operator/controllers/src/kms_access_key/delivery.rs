//! The effects of an access key's life: id, gateway's copy, tenant's copy, revocation. Each is idempotent and never overwrites.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{ObjectMeta, PartialObjectMeta, PartialObjectMetaExt},
};
use operator_api::{KmsAccessKey, labels};

use super::{failure::AccessKeyError, mint};
use crate::{
    context::Context,
    effect::{self, Site},
    report::{Controller, Failure},
    secrets::{SecretData, SecretError, StoredSecret},
};

/// Name of the gateway's copy.
pub(super) fn gateway_secret(access_key_id: &str) -> String {
    format!("access-key-{}", access_key_id.to_lowercase())
}

/// Name of the tenant's copy.
pub(super) fn tenant_secret(key: &KmsAccessKey) -> String {
    format!("{}-credentials", key.name_any())
}

/// Draws the id and writes it once, unless the object has one.
pub(super) async fn decide_id(
    api: &Api<KmsAccessKey>,
    key: &KmsAccessKey,
    context: &Context,
) -> Result<KmsAccessKey, AccessKeyError> {
    if key.spec.access_key_id.is_some() {
        return Ok(key.clone());
    }
    let patch = serde_json::json!({ "spec": { "accessKeyId": mint::access_key_id()? } });
    Ok(effect::at(Site::AccessKeyId, context.writes(Controller::KmsAccessKey).patch(api, key, patch)).await?)
}

/// Draws the secret into the gateway's namespace, unless it is there; returns what is there.
pub(super) async fn put_gateway_copy(
    key: &KmsAccessKey,
    account: &str,
    context: &Context,
) -> Result<StoredSecret, AccessKeyError> {
    let secrets = context.secrets(Controller::KmsAccessKey);
    let (namespace, id) = (&context.namespaces().gateway, key.spec.access_key_id.clone().unwrap_or_default());
    let name = gateway_secret(&id);
    let stored = match secrets.read(namespace, &name).await? {
        Some(stored) => stored,
        None if key.status.as_ref().is_some_and(|status| status.delivered) => {
            return Err(AccessKeyError::GatewayCopyLost);
        }
        None => {
            let data = gateway_data(key, &id, account)?;
            let labels = [(labels::ACCESS_KEY, labels::TRUE), (labels::MANAGED_BY, labels::OPERATOR)];
            effect::at(Site::AccessKeyGatewaySecret, secrets.put_if_absent(namespace, &name, &labels, data)).await?
        }
    };
    if is_copy_of(&stored, key) { Ok(stored) } else { Err(AccessKeyError::AccessKeyIdTaken) }
}

fn gateway_data(key: &KmsAccessKey, id: &str, account: &str) -> Result<SecretData, AccessKeyError> {
    let secret = mint::secret_access_key()?;
    Ok(SecretData::default()
        .with("access-key-id", id)
        .with("secret-access-key", secret.as_bytes())
        .with("namespace", key.namespace().unwrap_or_default())
        .with("name", key.name_any())
        .with("account-id", account)
        .with("uid", key.uid().unwrap_or_default()))
}

/// Whether a Secret of the gateway was made for this very object. Anybody who may create a `KmsAccessKey` can write an id into it (the rule is
/// set-once, not never-by-you), so the uid decides whose key it is.
fn is_copy_of(stored: &StoredSecret, key: &KmsAccessKey) -> bool {
    stored.data.text("uid").is_some_and(|uid| key.uid().as_deref() == Some(uid))
        && stored.data.text("namespace").is_some_and(|namespace| key.namespace().as_deref() == Some(namespace))
}

/// Copies the secret into the tenant's namespace, unless a Secret of that name is there.
pub(super) async fn put_tenant_copy(
    key: &KmsAccessKey,
    minted: &StoredSecret,
    context: &Context,
) -> Result<(), AccessKeyError> {
    let entry = |name: &str| {
        let missing = SecretError::Entry { name: "of the gateway".into(), key: name.into() };
        minted.data.text(name).ok_or(missing)
    };
    let (namespace, name) = (key.namespace().unwrap_or_default(), tenant_secret(key));
    let (id, secret) = (entry("access-key-id")?, entry("secret-access-key")?);
    let data = SecretData::default()
        .with("AWS_ACCESS_KEY_ID", id)
        .with("AWS_SECRET_ACCESS_KEY", secret)
        .with("AWS_REGION", context.settings.region.as_str());
    let labels = [(labels::MANAGED_BY, labels::OPERATOR), (labels::TENANT_NAME, &key.name_any())];
    let secrets = context.secrets(Controller::KmsAccessKey);
    let stored = effect::at(Site::AccessKeyTenantSecret, secrets.put_if_absent(&namespace, &name, &labels, data)).await;
    match stored {
        Err(error) if error.reason() == "ApiForbidden" => {
            Err(AccessKeyError::MissingTenantBinding { secret: name, controllers: context.namespaces().system.clone() })
        }
        Err(error) => Err(error.into()),
        Ok(stored) if holds(&stored, id, secret) => Ok(()),
        Ok(_) => Err(AccessKeyError::CredentialsSecretExists { secret: name }),
    }
}

/// Whether a Secret of the tenant holds this access key. The id alone does not say so: an object that was restored with its id gets a new secret,
/// and beside it the Secret with the old one may have been restored.
fn holds(tenant: &StoredSecret, id: &str, secret: &str) -> bool {
    tenant.data.text("AWS_ACCESS_KEY_ID") == Some(id) && tenant.data.text("AWS_SECRET_ACCESS_KEY") == Some(secret)
}

/// Deletes the gateway's copy: from then on requests signed with the key are refused. The tenant's copy is the tenant's.
pub(super) async fn revoke(context: &Context, key: &KmsAccessKey) -> Result<(), AccessKeyError> {
    let Some(id) = &key.spec.access_key_id else { return Ok(()) };
    let (namespace, name) = (&context.namespaces().gateway, gateway_secret(id));
    match context.secrets(Controller::KmsAccessKey).read(namespace, &name).await? {
        Some(stored) if is_copy_of(&stored, key) => {
            let metadata = ObjectMeta {
                name: Some(name),
                uid: Some(stored.uid.clone()),
                resource_version: Some(stored.resource_version.clone()),
                ..ObjectMeta::default()
            };
            let exactly = metadata.into_response_partial::<Secret>();
            let api = Api::<PartialObjectMeta<Secret>>::namespaced(context.client.clone(), namespace);
            let writes = context.writes(Controller::KmsAccessKey);
            Ok(effect::at(Site::AccessKeyRevoke, writes.delete(&api, &exactly)).await?)
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_api::KmsAccessKeySpec;

    fn key(namespace: &str, name: &str, uid: &str) -> KmsAccessKey {
        let spec =
            KmsAccessKeySpec { access_key_id: Some("AKIAABCDEFGH23456789".into()), ..KmsAccessKeySpec::default() };
        let mut key = KmsAccessKey::new(name, spec);
        key.metadata.namespace = Some(namespace.into());
        key.metadata.uid = Some(uid.into());
        key
    }

    /// D2, D10: neither delivered to a copy of the manifest, nor withdrawn with it.
    #[test]
    fn the_gateways_secret_is_the_originals_and_no_copys() {
        let original = key("team-a", "app", "uid-1");
        let data = gateway_data(&original, "AKIAABCDEFGH23456789", "111122223333").unwrap();
        let stored = StoredSecret::for_tests(data);
        assert!(is_copy_of(&stored, &original));
        for copy in [key("team-a", "copy", "uid-2"), key("team-b", "app", "uid-3"), key("team-a", "app", "uid-4")] {
            assert!(!is_copy_of(&stored, &copy), "{:?}", copy.metadata);
        }
        let unnamed = StoredSecret::for_tests(SecretData::default());
        assert!(!is_copy_of(&unnamed, &original), "a Secret that says nobody's uid is nobody's");
    }

    /// D10: Ready must not be said of credentials with which nobody can sign.
    #[test]
    fn a_tenants_secret_counts_as_delivered_only_with_the_secret_that_the_gateway_knows() {
        let tenant = |id: &str, secret: Option<&str>| {
            let data = SecretData::default().with("AWS_ACCESS_KEY_ID", id);
            StoredSecret::for_tests(match secret {
                Some(secret) => data.with("AWS_SECRET_ACCESS_KEY", secret),
                None => data,
            })
        };
        assert!(holds(&tenant("AKIAONE", Some("new")), "AKIAONE", "new"));
        for other in [tenant("AKIAONE", Some("old")), tenant("AKIATWO", Some("new")), tenant("AKIAONE", None)] {
            assert!(!holds(&other, "AKIAONE", "new"));
        }
    }

    #[test]
    fn secrets_are_named_after_the_id_and_after_the_object() {
        let key = KmsAccessKey::new("app", KmsAccessKeySpec::default());
        assert_eq!(gateway_secret("AKIAABCDEFGH23456789"), "access-key-akiaabcdefgh23456789");
        assert_eq!(tenant_secret(&key), "app-credentials");
    }
}
