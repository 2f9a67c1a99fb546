//! Every write to the API server: leader-checked, preconditioned, never retried by itself.
//!
//! One value belongs to one controller and writes under that controller's field manager. Children and status go by server-side
//! apply; set-once fields and finalizers by JSON merge patch with resourceVersion (D2); what must not be overwritten by create or
//! replace. A lost reply is an error like any other: the next reconcile reads what became of it (`INV-23`).

use std::fmt::Debug;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use operator_api::field_manager;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::effect::{self, Site};
use crate::leader::{Leadership, NotLeader};
use crate::report::{Failure, Retry};

/// A write that was not made, or whose outcome is unknown.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Not made.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// Somebody else wrote first (409), or the object to create exists.
    #[error("failed to {action}: the object was changed by somebody else")]
    Conflict {
        /// What was tried, for example `patch CloudHsmCluster payments`.
        action: String,
        /// The API server's answer.
        #[source]
        source: kube::Error,
    },
    /// Anything else; the write may have been made.
    #[error("failed to {action}")]
    Api {
        /// What was tried.
        action: String,
        /// The API server's answer or the transport's error.
        #[source]
        source: kube::Error,
    },
}

impl WriteError {
    fn of(action: String, source: kube::Error) -> Self {
        match &source {
            kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => {
                Self::Conflict { action, source }
            }
            _ => Self::Api { action, source },
        }
    }

    /// True for a create of something that exists and for a lost compare-and-set.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

impl Failure for WriteError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotLeader(_) => "NotLeader",
            Self::Conflict { .. } => "WriteConflict",
            Self::Api { source: kube::Error::Api(status), .. } if status.is_forbidden() => "ApiForbidden",
            Self::Api { source: kube::Error::Api(status), .. } if status.is_invalid() => "ApiInvalid",
            Self::Api { .. } => "ApiUnavailable",
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// What can be read and written through [`Writes`].
pub trait Object: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned> Object for K {}

/// The writes of one controller.
#[derive(Clone)]
pub struct Writes {
    client: Client,
    leader: Leadership,
    manager: &'static str,
}

impl Writes {
    pub(crate) fn new(client: Client, leader: Leadership, manager: &'static str) -> Self {
        Self { client, leader, manager }
    }

    /// The client, for reads. A `get` without resourceVersion is a quorum read.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Server-side apply of `object` (its name and, if it has one, namespace in its metadata). Takes fields over by force: children of
    /// ours have one author.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn apply<K: Object>(&self, api: &Api<K>, object: &K) -> Result<K, WriteError> {
        self.leader.check()?;
        let params = PatchParams::apply(self.manager).force();
        let name = object.name_any();
        api.patch(&name, &params, &Patch::Apply(typed(object))).await.map_err(|e| failed::<K>("apply", &name, e))
    }

    /// Server-side apply of `{"status": status}` on `object`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn apply_status<K: Object>(
        &self,
        api: &Api<K>,
        object: &K,
        status: &impl Serialize,
    ) -> Result<K, WriteError> {
        let identity = serde_json::json!({ "name": object.name_any(), "uid": object.uid() });
        self.apply_status_of(api, identity, status).await
    }

    /// Like [`Self::apply_status`], but only on exactly the version of `object` that was read: for a status that is a state machine's
    /// memory, which a deposed leader must not turn back (P5).
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the object has changed since.
    pub async fn apply_status_exactly<K: Object>(
        &self,
        api: &Api<K>,
        object: &K,
        status: &impl Serialize,
    ) -> Result<K, WriteError> {
        let mut identity = serde_json::json!({ "name": object.name_any(), "uid": object.uid() });
        identity["resourceVersion"] = object.resource_version().into();
        self.apply_status_of(api, identity, status).await
    }

    async fn apply_status_of<K: Object>(
        &self,
        api: &Api<K>,
        identity: serde_json::Value,
        status: &impl Serialize,
    ) -> Result<K, WriteError> {
        self.leader.check()?;
        let name = identity["name"].as_str().unwrap_or_default().to_owned();
        let body = serde_json::json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": identity, "status": status,
        });
        let params = PatchParams::apply(self.manager).force();
        api.patch_status(&name, &params, &Patch::Apply(body))
            .await
            .map_err(|e| failed::<K>("write status of", &name, e))
    }

    /// Writes set-once identity into the spec (D2), as the field manager that no manifest and no status shares.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the object has changed since it was read.
    pub async fn set_once<K: Object>(
        &self,
        api: &Api<K>,
        object: &K,
        patch: serde_json::Value,
    ) -> Result<K, WriteError> {
        Self { manager: field_manager::IDENTITY, ..self.clone() }.patch(api, object, patch).await
    }

    /// JSON merge patch that succeeds only on exactly the version of `object` that was read: for set-once fields and finalizers.
    /// `patch` must not contain `metadata.resourceVersion` or `metadata.uid`; both are added here.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the object has changed since.
    pub async fn patch<K: Object>(
        &self,
        api: &Api<K>,
        object: &K,
        mut patch: serde_json::Value,
    ) -> Result<K, WriteError> {
        self.leader.check()?;
        let name = object.name_any();
        patch["metadata"]["resourceVersion"] = object.resource_version().into();
        patch["metadata"]["uid"] = object.uid().into();
        let params = PatchParams { field_manager: Some(self.manager.into()), ..PatchParams::default() };
        api.patch(&name, &params, &Patch::Merge(patch)).await.map_err(|e| failed::<K>("patch", &name, e))
    }

    /// Creates `object`.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the name is taken.
    pub async fn create<K: Object>(&self, api: &Api<K>, object: &K) -> Result<K, WriteError> {
        self.leader.check()?;
        let params = PostParams { field_manager: Some(self.manager.into()), ..PostParams::default() };
        api.create(&params, object).await.map_err(|e| failed::<K>("create", &object.name_any(), e))
    }

    /// Replaces exactly the version of `object` that was read.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the object has changed since.
    pub async fn replace<K: Object>(&self, api: &Api<K>, object: &K) -> Result<K, WriteError> {
        self.leader.check()?;
        let params = PostParams { field_manager: Some(self.manager.into()), ..PostParams::default() };
        api.replace(&object.name_any(), &params, object)
            .await
            .map_err(|e| failed::<K>("replace", &object.name_any(), e))
    }

    /// Deletes exactly the version of `object` that was read (`INV-71`); already gone counts as done.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the object has changed since or is another one under the same name.
    pub async fn delete<K: Object>(&self, api: &Api<K>, object: &K) -> Result<(), WriteError> {
        self.leader.check()?;
        let preconditions = Preconditions { uid: object.uid(), resource_version: object.resource_version() };
        let params = DeleteParams::default().preconditions(preconditions);
        match api.delete(&object.name_any(), &params).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(|_| ()).map_err(|e| failed::<K>("delete", &object.name_any(), e)),
        }
    }

    /// Adds `finalizer` to `object`, on exactly the version that was read; the given object when it has it already.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the object has changed since.
    pub async fn add_finalizer<K: Object>(&self, api: &Api<K>, object: &K, finalizer: &str) -> Result<K, WriteError> {
        if object.finalizers().iter().any(|present| present == finalizer) {
            return Ok(object.clone());
        }
        let mut finalizers = object.finalizers().to_vec();
        finalizers.push(finalizer.to_owned());
        let patch = serde_json::json!({ "metadata": { "finalizers": finalizers } });
        effect::at(Site::Finalizer, self.patch(api, object, patch)).await
    }

    /// Takes `finalizer` off `object`, on exactly the version that was read.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the object has changed since; already gone counts as done.
    pub async fn remove_finalizer<K: Object>(
        &self,
        api: &Api<K>,
        object: &K,
        finalizer: &str,
    ) -> Result<(), WriteError> {
        let rest: Vec<_> = object.finalizers().iter().filter(|present| *present != finalizer).collect();
        if rest.len() == object.finalizers().len() {
            return Ok(());
        }
        let patch = serde_json::json!({ "metadata": { "finalizers": rest } });
        match effect::at(Site::Finalizer, self.patch(api, object, patch)).await {
            Err(WriteError::Api { source: kube::Error::Api(status), .. }) if status.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// `apiVersion` and `kind` are required in an applied object, and k8s-openapi's types write them themselves; derived ones too.
fn typed<K: Object>(object: &K) -> serde_json::Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["apiVersion"] = K::api_version(&()).into();
    value["kind"] = K::kind(&()).into();
    if let Some(metadata) = value.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    value
}

fn failed<K: Object>(verb: &str, name: &str, source: kube::Error) -> WriteError {
    WriteError::of(format!("{verb} {} {name}", K::kind(&())), source)
}
