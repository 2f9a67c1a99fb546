//! An account for a new namespace and an access key in it (D1, D10, P3), and the access key's end.

use anyhow::{Result, ensure};
use e2e::installation::{GATEWAY_NAMESPACE, entry};
use e2e::manifests::apply;
use e2e::object;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use operator_api::{KeystoreAccount, KmsAccessKey};
use operator_controllers::effect::Site;
use serde_json::{Value, json};

use super::Scenario;
use crate::crash::bench::Bench;
use crate::crash::snapshot;

pub(crate) const DELIVER: &[Site] = &[
    Site::AccountClaim,
    Site::AccountCreate,
    Site::AccountRecord,
    Site::AccessKeyId,
    Site::AccessKeyGatewaySecret,
    Site::AccessKeyTenantSecret,
    Site::AccessKeyStatus,
];
pub(crate) const REVOKE: &[Site] = &[Site::AccessKeyRevoke, Site::Finalizer];

/// A namespace that has no account yet, the consent to deliver, and an access key.
fn manifests(namespace: &str) -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: delivery, namespace: {namespace}}}
rules: [{{apiGroups: [''], resources: [secrets], verbs: [create, get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: delivery, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: delivery}}
subjects: [{{kind: ServiceAccount, name: keystore-operator, namespace: keystore-system}}]
---
apiVersion: keystores.dev/v1alpha1
kind: KmsAccessKey
metadata: {{name: app, namespace: {namespace}}}
spec: {{}}
"
    )
}

fn access_keys(bench: &Bench, namespace: &str) -> Api<KmsAccessKey> {
    Api::namespaced(bench.client.clone(), namespace)
}

async fn delivered(bench: &Bench, namespace: &str) -> Result<()> {
    let keys = access_keys(bench, namespace);
    object::says(&keys, "app", "Ready", "Delivered").await?;
    ensure!(keys.get("app").await?.status.unwrap_or_default().delivered, "ready, and not delivered");
    Ok(())
}

/// The gateway's copies that were made for objects of this namespace.
async fn gateway_copies(bench: &Bench, namespace: &str) -> Result<Vec<Secret>> {
    let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), GATEWAY_NAMESPACE);
    let labelled = ListParams::default().labels("keystores.dev/access-key=true");
    let of_namespace = |secret: &Secret| entry(secret, "namespace").is_ok_and(|of| of == namespace);
    Ok(secrets.list(&labelled).await?.items.into_iter().filter(of_namespace).collect())
}

/// One account, one access key, one secret in two places.
pub(crate) struct Deliver;

impl Deliver {
    fn namespace(run: usize) -> String {
        format!("deliver-{run}")
    }
}

impl Scenario for Deliver {
    fn name(&self) -> String {
        "an account and an access key".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        DELIVER
    }

    async fn prepare(&self, _bench: &mut Bench, _run: usize) -> Result<()> {
        Ok(())
    }

    async fn ask(&self, bench: &Bench, run: usize) -> Result<()> {
        apply(&bench.client, &manifests(&Self::namespace(run))).await
    }

    async fn finished(&self, bench: &Bench, run: usize) -> Result<()> {
        delivered(bench, &Self::namespace(run)).await
    }

    async fn snapshot(&self, bench: &Bench, run: usize) -> Result<Value> {
        let namespace = Self::namespace(run);
        let accounts: Api<KeystoreAccount> = Api::all(bench.client.clone());
        let accounts = accounts.list(&ListParams::default()).await?.items;
        let accounts = accounts.iter().filter(|account| account.spec.namespace == namespace).count();
        let key = access_keys(bench, &namespace).get("app").await?;
        let tenant: Api<Secret> = Api::namespaced(bench.client.clone(), &namespace);
        let tenant = tenant.get("app-credentials").await?;
        let copies = gateway_copies(bench, &namespace).await?;
        let same = |copy: &Secret, ours: &str, theirs: &str| anyhow::Ok(entry(copy, ours)? == entry(&tenant, theirs)?);
        let copies = copies.iter().map(|copy| {
            let id = same(copy, "access-key-id", "AWS_ACCESS_KEY_ID")?;
            Ok(json!([id, same(copy, "secret-access-key", "AWS_SECRET_ACCESS_KEY")?]))
        });
        let status = key.status.unwrap_or_default();
        Ok(json!({
            "accounts": accounts, "copies": copies.collect::<Result<Vec<_>>>()?, "finalizers": key.metadata.finalizers,
            "conditions": snapshot::conditions(&status.conditions),
            "id is the delivered one": key.spec.access_key_id == entry(&tenant, "AWS_ACCESS_KEY_ID").ok(),
        }))
    }
}

/// A deleted access key: the gateway's copy goes before the object does.
pub(crate) struct Revoke;

impl Revoke {
    fn namespace(run: usize) -> String {
        format!("revoke-{run}")
    }
}

impl Scenario for Revoke {
    fn name(&self) -> String {
        "an access key's end".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        REVOKE
    }

    async fn prepare(&self, bench: &mut Bench, run: usize) -> Result<()> {
        apply(&bench.client, &manifests(&Self::namespace(run))).await?;
        delivered(bench, &Self::namespace(run)).await
    }

    async fn ask(&self, bench: &Bench, run: usize) -> Result<()> {
        access_keys(bench, &Self::namespace(run)).delete("app", &DeleteParams::default()).await?;
        Ok(())
    }

    async fn finished(&self, bench: &Bench, run: usize) -> Result<()> {
        object::gone(&access_keys(bench, &Self::namespace(run)), "app").await
    }

    async fn snapshot(&self, bench: &Bench, run: usize) -> Result<Value> {
        Ok(json!({ "copies": gateway_copies(bench, &Self::namespace(run)).await?.len() }))
    }
}
