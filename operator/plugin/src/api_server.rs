//! The API server as the user's kubeconfig reaches it: lists page by page, creates and patches one object. No retry of writes.

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use operator_api::{GROUP, RecordedKind, VERSION, labels};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::cli::ConnectionOptions;

/// Objects per request.
const PAGE: u32 = 500;
/// Field manager of everything that is written here (D2: identity has its own).
const FIELD_MANAGER: &str = "kubectl-keystore";

/// A connection with the rights of the user.
pub(crate) struct ApiServer {
    client: Client,
    namespace: String,
}

impl ApiServer {
    /// Reads the kubeconfig as kubectl does.
    ///
    /// # Errors
    /// When it is missing, has no such context, or holds unusable credentials.
    pub(crate) async fn connect(options: &ConnectionOptions) -> Result<Self> {
        let choice = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
        let config = match &options.kubeconfig {
            Some(file) => {
                let kubeconfig =
                    Kubeconfig::read_from(file).with_context(|| format!("failed to read {}", file.display()))?;
                Config::from_custom_kubeconfig(kubeconfig, &choice).await
            }
            None => Config::from_kubeconfig(&choice).await,
        };
        let mut config = config.context("failed to use the kubeconfig")?;
        // A create that is sent again answers "exists" for its own success (INV-77).
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).context("failed to make a client from the kubeconfig")?;
        Ok(Self { client, namespace })
    }

    /// The namespace of the kubeconfig's context.
    pub(crate) fn default_namespace(&self) -> &str {
        &self.namespace
    }

    /// All objects of a typed kind, of one namespace or of all.
    ///
    /// # Errors
    /// When the list is refused; a missing definition says how to bring it back.
    pub(crate) async fn list<K>(&self, namespace: Option<&str>) -> Result<Vec<K>>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        pages(&api, ListParams::default(), &K::plural(&())).await
    }

    /// All objects of a recorded kind in the whole cluster, as they are.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub(crate) async fn list_recorded(&self, kind: RecordedKind) -> Result<Vec<DynamicObject>> {
        let api = Api::all_with(self.client.clone(), &resource(kind));
        pages(&api, ListParams::default(), &kind.plural()).await
    }

    /// All namespaces.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub(crate) async fn namespaces(&self) -> Result<Vec<Namespace>> {
        pages(&Api::all(self.client.clone()), ListParams::default(), "namespaces").await
    }

    /// The ConfigMaps with recovery records.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub(crate) async fn record_maps(&self, vault: &str) -> Result<Vec<ConfigMap>> {
        let api = Api::namespaced(self.client.clone(), vault);
        let records = ListParams::default().labels(labels::RECOVERY_RECORD);
        pages(&api, records, &format!("recovery records in namespace {vault}")).await
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn create_namespace(&self, name: &str) -> Result<()> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        api.create(&post(), &namespace).await.with_context(|| format!("failed to create namespace {name}"))?;
        Ok(())
    }

    /// Creates an object from its recorded manifest.
    ///
    /// # Errors
    /// When it is refused, also because an object of that name has come up meanwhile.
    pub(crate) async fn create(&self, kind: RecordedKind, manifest: &Value) -> Result<()> {
        let object: DynamicObject = serde_json::from_value(manifest.clone()).context("the manifest is damaged")?;
        let api = self.api(kind, object.namespace().as_deref());
        let refused = || format!("failed to create {kind} {}", object.name_any());
        let name = object.name_any();
        api.create(&post(), &object).await.with_context(refused)?;
        let disowned = api.patch(&name, &PatchParams::default(), &Patch::Merge(left_to_its_manifest(kind))).await;
        disowned.with_context(|| format!("failed to leave {kind} {name} to its manifest"))?;
        Ok(())
    }

    /// Sets fields of `spec` on exactly the version of the object that was seen.
    ///
    /// # Errors
    /// When it is refused, also because the object has changed meanwhile.
    pub(crate) async fn set(
        &self,
        kind: RecordedKind,
        seen: &crate::recover::live::Object,
        fields: &Map<String, Value>,
    ) -> Result<()> {
        let namespace = (kind != RecordedKind::KeystoreAccount).then_some(seen.namespace.as_str());
        let body = json!({
            "metadata": { "uid": seen.uid, "resourceVersion": seen.resource_version },
            "spec": fields,
        });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let patched = self.api(kind, namespace).patch(&seen.name, &params, &Patch::Merge(body)).await;
        patched.with_context(|| format!("failed to give {kind} {} its id", seen.name))?;
        Ok(())
    }

    fn api(&self, kind: RecordedKind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource(kind)),
            None => Api::all_with(self.client.clone(), &resource(kind)),
        }
    }
}

/// The create made this program the owner of every field, and the owner's next server-side apply would meet a conflict. It keeps only what can
/// never change; the rest belongs to nobody. (An empty list would not do: the API server then invents an owner of everything.)
fn left_to_its_manifest(kind: RecordedKind) -> Value {
    let fixed: &[&str] = match kind {
        RecordedKind::KeystoreAccount => &["namespace"],
        RecordedKind::KmsAlias => &["aliasName"],
        RecordedKind::CloudHsmCluster | RecordedKind::CustomKeyStore | RecordedKind::KmsKey => kind.identity_fields(),
    };
    let fields: Map<String, Value> = fixed.iter().map(|field| (format!("f:{field}"), json!({}))).collect();
    json!({ "metadata": { "managedFields": [{
        "manager": FIELD_MANAGER, "operation": "Update", "apiVersion": format!("{GROUP}/{VERSION}"),
        "time": Timestamp::now(), "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": fields },
    }] } })
}

fn post() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() }
}

fn resource(kind: RecordedKind) -> ApiResource {
    let kind_of = GroupVersionKind::gvk(GROUP, VERSION, kind.as_str());
    ApiResource::from_gvk_with_plural(&kind_of, &kind.plural())
}

async fn pages<K>(api: &Api<K>, mut params: ListParams, what: &str) -> Result<Vec<K>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    params.limit = Some(PAGE);
    let mut all = Vec::new();
    loop {
        let page = match api.list(&params).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 404 => bail!(
                "failed to list {what}: the API server does not know them. Bring the installation back first \
                 (helm upgrade --install keystore-operator …), then run this again"
            ),
            Err(error) => return Err(error).with_context(|| format!("failed to list {what}")),
        };
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}
