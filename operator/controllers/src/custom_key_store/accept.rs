//! Whether a store exists in AWS's sense: checks, claims, and its id, in that order; a refused one has none of them (spec 2.3, INV-34).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, ResourceExt, api::ListParams};
use operator_api::{CloudHsmCluster, CustomKeyStore, RecordedKind, RecoveryRecord};
use rustls_pki_types::UnixTime;

use super::{
    error::StoreError,
    identity::{self, Claims},
    observe::{self, Observed},
    status,
    validate::{self, NotAccepted},
};
use crate::{context::Context, effect::Site, ownership::Identified, read::ReadError, recovery, report::Controller};

/// Brings `observed.store` to its identity, or says why not. An accepted store is only asked for its name again: what happens to its cluster
/// later is a matter of connecting.
pub(super) async fn accept(context: &Context, observed: &mut Observed) -> Result<Option<NotAccepted>, StoreError> {
    if is_accepted(&observed.store) {
        keep_record(context, &observed.store).await?;
        return renamed(context, observed).await;
    }
    inherit_claims(context, &observed.store).await?;
    let anchor = match observe::trust_anchor(context, observed).await? {
        Ok(anchor) => anchor,
        Err(problem) => return Ok(Some(problem.into())),
    };
    let claims = Claims::of(&observed.store, observed.cluster.as_ref());
    let taken = claims.taken(context).await?;
    let others = other_stores(context, &observed.store).await?;
    // The id is written after these checks, or by somebody who may adopt: with one, the store was accepted before.
    let restored = observed.store.spec.custom_key_store_id.is_some();
    let (cluster, now) = (observed.cluster.as_ref(), UnixTime::now());
    let checked = validate::creation(cluster, anchor.as_deref(), taken, others, restored, now);
    let anchor = match (checked, anchor) {
        (Err(refused), _) => return Ok(Some(refused)),
        (Ok(()), anchor) => anchor.unwrap_or_default(),
    };
    if let Some(former) = former_identity(context, &observed.store).await? {
        return Ok(Some(NotAccepted::IdentityExists(former)));
    }
    if let Some(changed) = another_anchor(&observed.store, &anchor) {
        return Ok(Some(changed));
    }
    if let Err(refusal) = claims.take(context).await? {
        return Ok(Some(refusal.into()));
    }
    observed.store = identity::establish(context, &observed.store, &anchor).await?;
    keep_record(context, &observed.store).await?;
    observed.store = record(context, &observed.store, observed.cluster.as_ref(), anchor).await?;
    Ok(None)
}

/// The record from which the store comes back with its id (D5); stored before the status says that there is a store.
async fn keep_record(context: &Context, store: &CustomKeyStore) -> Result<(), StoreError> {
    let record = RecoveryRecord::of(RecordedKind::CustomKeyStore, store);
    Ok(recovery::keep(context, Controller::CustomKeyStore, Site::StoreRecord, &record).await?)
}

/// A store that comes with the id of a recorded one takes the place of the object that the record was written for. That object is gone for
/// certain, because this one has its name, and setting the id took the verb adopt: the release that INV-41 asks of a person.
async fn inherit_claims(context: &Context, store: &CustomKeyStore) -> Result<(), StoreError> {
    let Some(id) = &store.spec.custom_key_store_id else { return Ok(()) };
    let namespace = store.namespace().unwrap_or_default();
    let records = recovery::lookup(context, RecordedKind::CustomKeyStore, &namespace, &store.name_any()).await?;
    for former in records.into_iter().filter(|record| record.identity() == Some(id)).filter_map(|record| record.uid) {
        if Some(&former) != store.uid().as_ref() {
            identity::release_all(context, &former).await?;
        }
    }
    Ok(())
}

/// The id that the store's name stands for already, while the store has none.
async fn former_identity(context: &Context, store: &CustomKeyStore) -> Result<Option<String>, StoreError> {
    if store.spec.custom_key_store_id.is_some() {
        return Ok(None);
    }
    let namespace = store.namespace().unwrap_or_default();
    Ok(recovery::former_identity(context, RecordedKind::CustomKeyStore, &namespace, &store.name_any()).await?)
}

impl Identified for CustomKeyStore {
    const RECORDED: RecordedKind = RecordedKind::CustomKeyStore;

    fn id(&self) -> Option<&str> {
        self.spec.custom_key_store_id.as_deref()
    }

    fn is_in_charge(&self) -> bool {
        is_accepted(self)
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }
}

fn is_accepted(store: &CustomKeyStore) -> bool {
    let recorded = store
        .status
        .as_ref()
        .is_some_and(|status| status.cloud_hsm_cluster_id.is_some() && status.trust_anchor_certificate.is_some());
    recorded && store.spec.custom_key_store_id.is_some() && store.spec.trust_anchor_fingerprint.is_some()
}

/// The anchor is fixed when the store is made (CKS-2): a restored store must come with the same one.
fn another_anchor(store: &CustomKeyStore, anchor: &str) -> Option<NotAccepted> {
    let recorded = store.spec.trust_anchor_fingerprint.as_ref()?;
    let differs = identity::anchor_fingerprint(anchor).as_ref() != Some(recorded);
    differs.then(|| NotAccepted::TrustAnchor("it is not the one with which the store was created".into()))
}

async fn renamed(context: &Context, observed: &Observed) -> Result<Option<NotAccepted>, StoreError> {
    let observed_generation = observed.store.status.as_ref().and_then(|status| status.observed_generation);
    let claims = Claims::of(&observed.store, observed.cluster.as_ref());
    match claims.take_name(context).await? {
        Ok(()) if observed_generation == observed.store.metadata.generation => Ok(None),
        Ok(()) => {
            claims.release_former_names(context).await?;
            Ok(None)
        }
        Err(refusal) => Ok(Some(refusal.into())),
    }
}

/// What the AWS API shows of the cluster and the anchor, and what a connect trusts from now on.
async fn record(
    context: &Context,
    store: &CustomKeyStore,
    cluster: Option<&CloudHsmCluster>,
    anchor: String,
) -> Result<CustomKeyStore, StoreError> {
    let mut recorded = status::unmoved(context, store);
    recorded.cloud_hsm_cluster_id = cluster.and_then(|cluster| cluster.spec.cluster_id.clone());
    recorded.trust_anchor_certificate = Some(anchor);
    status::write(context, store, recorded, &status::Findings::default()).await
}

/// Accepted stores of the namespace besides this one (spec 2.3 row 4).
async fn other_stores(context: &Context, store: &CustomKeyStore) -> Result<usize, StoreError> {
    let api = Api::<CustomKeyStore>::namespaced(context.client.clone(), &store.namespace().unwrap_or_default());
    let all = api.list(&ListParams::default()).await.map_err(ReadError::of("the namespace's CustomKeyStores"))?;
    let counts = |other: &&CustomKeyStore| other.uid() != store.uid() && other.spec.custom_key_store_id.is_some();
    Ok(all.items.iter().filter(counts).count())
}
