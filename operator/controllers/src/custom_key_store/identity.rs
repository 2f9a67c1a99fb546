//! What makes a store the only one: its claims, and its set-once identity (P3, D2, INV-39…43).

use aws_lc_rs::digest;
use kube::{Api, ResourceExt};
use operator_api::{ClaimPurpose, CloudHsmCluster, CustomKeyStore, KeystoreClaim, KeystoreClaimSpec};
use operator_domain::{
    identifier::CustomKeyStoreId,
    refusal::{Exception, Refusal},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{error::StoreError, validate::Taken};
use crate::{
    claim,
    context::Context,
    effect::{self, Site},
    random,
    read::ReadError,
    report::Controller,
};

/// The claims that a store needs.
pub(super) struct Claims {
    name: (String, KeystoreClaimSpec),
    /// `None` while the cluster has no certificate.
    lineage: Option<(String, KeystoreClaimSpec)>,
}

impl Claims {
    /// For this store on this cluster.
    pub(super) fn of(store: &CustomKeyStore, cluster: Option<&CloudHsmCluster>) -> Self {
        let namespace = store.namespace().unwrap_or_default();
        let spec = |purpose, value: &str| KeystoreClaimSpec {
            purpose,
            value: value.to_owned(),
            holder_uid: store.uid().unwrap_or_default(),
            holder_namespace: namespace.clone(),
            holder_name: store.name_any(),
        };
        let name = store.friendly_name();
        let fingerprint = cluster.and_then(|cluster| cluster.spec.cluster_certificate_fingerprint.as_deref());
        Self {
            name: (claim::store_name(&namespace, name), spec(ClaimPurpose::StoreName, name)),
            lineage: fingerprint.map(|print| (claim::lineage_name(print), spec(ClaimPurpose::Lineage, print))),
        }
    }

    /// What others hold of them, as far as can be seen without taking any.
    pub(super) async fn taken(&self, context: &Context) -> Result<Taken, StoreError> {
        let api = Api::<KeystoreClaim>::namespaced(context.client.clone(), &context.namespaces().system);
        let foreign = async |(name, wanted): &(String, KeystoreClaimSpec)| {
            let held = api.get_opt(name).await.map_err(ReadError::of("a claim"))?;
            Ok::<_, StoreError>(held.is_some_and(|held| held.spec.holder_uid != wanted.holder_uid))
        };
        let lineage = match &self.lineage {
            Some(lineage) => foreign(lineage).await?,
            None => false,
        };
        Ok(Taken { name: foreign(&self.name).await?, lineage })
    }

    /// Takes both; each is read again before it counts (INV-40).
    ///
    /// # Errors
    /// The inner one says who was faster.
    pub(super) async fn take(&self, context: &Context) -> Result<Result<(), Refusal>, StoreError> {
        let (name, wanted) = &self.name;
        if let Err(refusal) = take_name(context, name, wanted).await? {
            return Ok(Err(refusal));
        }
        let Some((name, wanted)) = &self.lineage else { return Ok(Ok(())) };
        let held = claim::take(context, Controller::CustomKeyStore, Site::StoreLineageClaim, name, wanted).await?;
        Ok(if held.holder_uid == wanted.holder_uid { Ok(()) } else { Err(in_use(name)) })
    }

    /// Takes the name alone: a store may be renamed at any time (CKS-30).
    ///
    /// # Errors
    /// The inner one says that another store has it.
    pub(super) async fn take_name(&self, context: &Context) -> Result<Result<(), Refusal>, StoreError> {
        take_name(context, &self.name.0, &self.name.1).await
    }

    /// Gives back names that the store no longer has.
    pub(super) async fn release_former_names(&self, context: &Context) -> Result<(), StoreError> {
        let (_, wanted) = &self.name;
        for held in claim::held(context, ClaimPurpose::StoreName, &wanted.holder_uid).await? {
            if held.spec.value != wanted.value {
                claim::release(context, Controller::CustomKeyStore, Site::StoreClaimRelease, &held).await?;
            }
        }
        Ok(())
    }
}

async fn take_name(
    context: &Context,
    name: &str,
    wanted: &KeystoreClaimSpec,
) -> Result<Result<(), Refusal>, StoreError> {
    let held = claim::take(context, Controller::CustomKeyStore, Site::StoreNameClaim, name, wanted).await?;
    if held.holder_uid == wanted.holder_uid {
        return Ok(Ok(()));
    }
    let message = format!("The request was rejected because custom key store {} has this name.", held.holder_name);
    Ok(Err(Refusal::new(Exception::CustomKeyStoreNameInUse, message)))
}

/// Tenants learn the claim's name, which an admin can look up, and not who holds it (INV-67).
fn in_use(claim: &str) -> Refusal {
    let message = format!(
        "The request was rejected because the cluster, or one with the same cluster certificate, is used by another custom key store. \
         If that store is gone for good, an admin deletes KeystoreClaim {claim}."
    );
    Refusal::new(Exception::CloudHsmClusterInUse, message)
}

/// Gives every claim of the object `uid` back: the last act of a store's finalizer (INV-41).
pub(super) async fn release_all(context: &Context, uid: &str) -> Result<(), StoreError> {
    for purpose in [ClaimPurpose::Lineage, ClaimPurpose::StoreName] {
        for held in claim::held(context, purpose, uid).await? {
            claim::release(context, Controller::CustomKeyStore, Site::StoreClaimRelease, &held).await?;
        }
    }
    Ok(())
}

/// Writes the set-once identity that is missing: id and trust anchor in one patch (D2).
pub(super) async fn establish(
    context: &Context,
    store: &CustomKeyStore,
    anchor: &str,
) -> Result<CustomKeyStore, StoreError> {
    let mut spec = serde_json::Map::new();
    if store.spec.custom_key_store_id.is_none() {
        spec.insert("customKeyStoreId".into(), CustomKeyStoreId::from_random(*random::bytes()?).to_string().into());
    }
    if store.spec.trust_anchor_fingerprint.is_none()
        && let Some(print) = anchor_fingerprint(anchor)
    {
        spec.insert("trustAnchorFingerprint".into(), print.into());
    }
    if spec.is_empty() {
        return Ok(store.clone());
    }
    let api = Api::<CustomKeyStore>::namespaced(context.client.clone(), &store.namespace().unwrap_or_default());
    let writes = context.writes(Controller::CustomKeyStore);
    Ok(effect::at(Site::StoreId, writes.patch(&api, store, serde_json::json!({ "spec": spec }))).await?)
}

/// Hex SHA-256 of an anchor's first certificate (DER).
pub(super) fn anchor_fingerprint(anchor: &str) -> Option<String> {
    let der = CertificateDer::from_pem_slice(anchor.as_bytes()).ok()?;
    Some(hex::encode(digest::digest(&digest::SHA256, &der)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_api::{CloudHsmClusterSpec, CustomKeyStoreSpec};

    fn store(name: &str, uid: &str) -> CustomKeyStore {
        let mut store = CustomKeyStore::new(name, CustomKeyStoreSpec::default());
        store.metadata.uid = Some(uid.into());
        store.metadata.namespace = Some("team-a".into());
        store
    }

    /// INV-39: whichever cluster of a lineage two stores name, they meet at one claim.
    #[test]
    fn stores_on_one_lineage_want_the_same_claim_and_different_holders() {
        let spec = CloudHsmClusterSpec { cluster_certificate_fingerprint: Some("ab".repeat(32)), ..Default::default() };
        let (original, restored) = (CloudHsmCluster::new("a", spec.clone()), CloudHsmCluster::new("b", spec));
        let one = Claims::of(&store("one", "1"), Some(&original)).lineage.unwrap();
        let two = Claims::of(&store("two", "2"), Some(&restored)).lineage.unwrap();
        assert_eq!(one.0, two.0);
        assert_ne!(one.1.holder_uid, two.1.holder_uid);
    }

    #[test]
    fn a_cluster_without_a_certificate_has_no_lineage_to_claim() {
        let cluster = CloudHsmCluster::new("a", CloudHsmClusterSpec::default());
        assert!(Claims::of(&store("one", "1"), Some(&cluster)).lineage.is_none());
    }

    #[test]
    fn a_refused_tenant_learns_the_claim_and_not_its_holder() {
        let refusal = in_use("lineage-abc");
        assert_eq!(refusal.exception.as_str(), "CloudHsmClusterInUseException");
        assert!(refusal.message.contains("lineage-abc"));
    }
}
