//! Reads the `kmsuser` ring as its owner would: which password is in force.

use anyhow::{Context, Result};
use hsm_initialization::ring::Ring;
use k8s_openapi::api::core::v1::Secret;
use zeroize::Zeroizing;

use crate::installation::entry;

/// The active password of a ring's Secret.
///
/// # Errors
/// When the Secret holds no ring.
pub fn active_password(secret: &Secret) -> Result<String> {
    let ring = Ring::parse(Zeroizing::new(entry(secret, "ring")?).as_bytes())?;
    let active = ring.active().context("the ring has no active entry")?;
    Ok(active.password.expose().to_owned())
}

/// Whether a ring's Secret holds a password that no HSM needs to have yet.
///
/// # Errors
/// When the Secret holds no ring.
pub fn has_intent(secret: &Secret) -> Result<bool> {
    Ok(Ring::parse(Zeroizing::new(entry(secret, "ring")?).as_bytes())?.intent().is_some())
}
