//! Claims: uniqueness through the one guarantee that Kubernetes gives, that of several POSTs of one name exactly one wins (P3, INV-39…43).
//!
//! A claim is never stolen (INV-41). A lost reply is resolved by reading who holds the name, never by assuming (INV-23).

use aws_lc_rs::digest;
use kube::{
    Api, ResourceExt,
    api::{ListParams, ObjectMeta},
};
use operator_api::{ClaimPurpose, KeystoreClaim, KeystoreClaimSpec};

use crate::{
    context::Context,
    effect::{self, Site},
    read::{ReadError, unless_undefined},
    report::{Controller, Failure, Retry},
    write::WriteError,
};

/// Hex digits of a hash in a claim's name (P3: the first 40 of SHA-256).
const HASH_DIGITS: usize = 40;

/// A claim could not be read or written. Whether it was taken is then unknown and found out by the next try.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// See [`ReadError`].
    #[error(transparent)]
    Read(#[from] ReadError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Failure for ClaimError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read(error) => error.reason(),
            Self::Write(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Name of the claim on a lineage: `lineage-` and the first 40 hex digits of the SHA-256 of the cluster certificate (DER).
#[must_use]
pub fn lineage_name(cluster_certificate_fingerprint: &str) -> String {
    format!("lineage-{}", cluster_certificate_fingerprint.chars().take(HASH_DIGITS).collect::<String>())
}

/// Name of the claim on a store's friendly name, which may hold characters that no object name may.
#[must_use]
pub fn store_name(namespace: &str, friendly_name: &str) -> String {
    format!("name-{namespace}-{}", hash(friendly_name))
}

/// Name of the claim on the account of a namespace.
#[must_use]
pub fn account_name(namespace: &str) -> String {
    format!("account-{}", hash(namespace))
}

fn hash(text: &str) -> String {
    let mut digits = hex::encode(digest::digest(&digest::SHA256, text.as_bytes()));
    digits.truncate(HASH_DIGITS);
    digits
}

/// Takes the claim `name` unless somebody has it, and returns what is stored: the claim is ours exactly when that is `wanted`
/// (INV-40: read again after the POST, by a quorum GET).
///
/// # Errors
/// [`ClaimError`]; that somebody else holds the claim is no error.
pub async fn take(
    context: &Context,
    controller: Controller,
    site: Site,
    name: &str,
    wanted: &KeystoreClaimSpec,
) -> Result<KeystoreClaimSpec, ClaimError> {
    let api = api(context);
    let read = || ReadError::of(format!("claim {name}"));
    if let Some(held) = api.get_opt(name).await.map_err(read())? {
        return Ok(held.spec);
    }
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let claim = KeystoreClaim { metadata, spec: wanted.clone() };
    match effect::at(site, context.writes(controller).create(&api, &claim)).await {
        Ok(_) => {}
        Err(error) if error.is_conflict() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(api.get(name).await.map_err(read())?.spec)
}

/// The claims of one purpose that `holder_uid` holds.
///
/// # Errors
/// [`ClaimError::Read`].
pub async fn held(
    context: &Context,
    purpose: ClaimPurpose,
    holder_uid: &str,
) -> Result<Vec<KeystoreClaim>, ClaimError> {
    let listed = api(context).list(&ListParams::default()).await.map(|claims| claims.items);
    let mut claims = unless_undefined(listed).map_err(ReadError::of(format!("claims, {purpose:?} of {holder_uid}")))?;
    claims.retain(|claim| claim.spec.purpose == purpose && claim.spec.holder_uid == holder_uid);
    Ok(claims)
}

/// Gives a claim back: exactly the object that was read (INV-71). Already gone counts as done.
///
/// # Errors
/// [`ClaimError::Write`].
pub async fn release(
    context: &Context,
    controller: Controller,
    site: Site,
    claim: &KeystoreClaim,
) -> Result<(), ClaimError> {
    tracing::info!(claim = claim.name_any(), "releasing a claim");
    Ok(effect::at(site, context.writes(controller).delete(&api(context), claim)).await?)
}

fn api(context: &Context) -> Api<KeystoreClaim> {
    Api::namespaced(context.client.clone(), &context.namespaces().system)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits_an_object_name(name: &str) -> bool {
        name.len() <= 253 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }

    #[test]
    fn claim_names_are_object_names_whatever_is_claimed() {
        let long = "ä/Ö ".repeat(64);
        let namespace = "n".repeat(63);
        for name in [lineage_name(&"ab".repeat(32)), store_name(&namespace, &long), account_name(&namespace)] {
            assert!(fits_an_object_name(&name), "{name}");
        }
    }

    /// P3: the same lineage gives the same name, so that one POST decides.
    #[test]
    fn a_lineage_is_named_by_forty_digits_of_its_certificates_hash() {
        assert_eq!(lineage_name(&"ab".repeat(32)), format!("lineage-{}", "ab".repeat(20)));
    }

    #[test]
    fn equal_friendly_names_collide_only_within_a_namespace() {
        assert_eq!(store_name("a", "payments"), store_name("a", "payments"));
        assert_ne!(store_name("a", "payments"), store_name("b", "payments"));
        assert_ne!(store_name("a", "payments"), store_name("a", "Payments"));
    }
}
