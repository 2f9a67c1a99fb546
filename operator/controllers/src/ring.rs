//! The kube edge of `kmsuser`'s password ring: one Secret per cluster, every write conditional on the version that was read (P1, INV-27).
//!
//! Beside the ring the Secret remembers which password of the user's own Secret has been used up, so that accepting it and making it history
//! are one write (INV-30).

mod kept;

pub use kept::KeptRings;

use aws_lc_rs::hmac;
use hsm_initialization::SecretName;
use hsm_initialization::custody::entry::RING;
use hsm_initialization::ring::{Ring, RingError};
use serde::{Deserialize, Serialize};

use crate::{
    context::Context,
    effect::{self, Site},
    random::{self, NoRandomness},
    report::Controller,
    secrets::{SecretData, SecretError, StoredSecret},
};
use kept::Seen;

/// Entry of the record of the last consumed password, JSON.
const SUPPLIED: &str = "supplied";
/// Entry of the key under which consumed passwords are hashed, 32 random bytes.
const HASH_KEY: &str = "supplied-key";

/// Why a ring is not at hand.
#[derive(Debug, thiserror::Error)]
pub enum RingAccessError {
    /// See [`SecretError`].
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The Secret holds no ring, or a write would break the ring's rules.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Which password of the user's Secret was used up, without the password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consumed {
    uid: String,
    resource_version: String,
    /// HMAC-SHA-256 of the password under the key beside it, hex: a Secret that was merely touched is no new password.
    digest: String,
}

/// A password from the user's Secret: where it stood, and its text, which its owner wipes.
pub struct Supplied<'a> {
    /// Uid of the Secret.
    pub uid: &'a str,
    /// resourceVersion of the Secret.
    pub resource_version: &'a str,
    /// The password.
    pub password: &'a str,
}

/// A ring as it was read, and what may be changed before it is written back.
pub struct StoredRing {
    /// The ring.
    pub ring: Ring,
    consumed: Option<Consumed>,
    hash_key: Vec<u8>,
    secret: StoredSecret,
}

impl StoredRing {
    /// Whether this password has not been used up yet: then it overrides the ring for the attempt ("Passwords").
    #[must_use]
    pub fn is_new(&self, supplied: &Supplied<'_>) -> bool {
        self.consumed.as_ref().is_none_or(|consumed| consumed.digest != self.digest(supplied.password))
    }

    /// Marks a password as used up; takes effect with the next [`write`].
    pub fn consume(&mut self, supplied: &Supplied<'_>) {
        self.consumed = Some(Consumed {
            uid: supplied.uid.to_owned(),
            resource_version: supplied.resource_version.to_owned(),
            digest: self.digest(supplied.password),
        });
    }

    fn digest(&self, password: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.hash_key);
        hex::encode(hmac::sign(&key, password.as_bytes()).as_ref())
    }

    fn data(&self) -> SecretData {
        let data =
            SecretData::default().with(RING, self.ring.encode().as_slice()).with(HASH_KEY, self.hash_key.as_slice());
        match self.consumed.as_ref().and_then(|consumed| serde_json::to_vec(consumed).ok()) {
            Some(consumed) => data.with(SUPPLIED, consumed),
            None => data,
        }
    }
}

/// Name of the ring's Secret in the vault.
#[must_use]
pub fn name(cluster_id: &str) -> String {
    SecretName::Ring.of(cluster_id)
}

/// What a look for the ring found.
pub enum Found {
    /// The stored ring.
    Stored(StoredRing),
    /// Its Secret was deleted, or came back from a backup, and has the newest passwords again, from this process's memory: somebody should be
    /// told (P1).
    Restored(StoredRing),
    /// There is none, and this process has no copy.
    Gone,
}

/// Quorum read of a cluster's ring (P1.1). One that was deleted, or replaced by an older one, is put back if this process has seen it.
///
/// # Errors
/// [`RingAccessError`]; a damaged ring is an error and never replaced.
pub async fn read(context: &Context, cluster_id: &str) -> Result<Found, RingAccessError> {
    let secrets = context.secrets(Controller::CustomKeyStore);
    let (namespace, name) = (&context.namespaces().vault, name(cluster_id));
    if let Some(secret) = secrets.read(namespace, &name).await? {
        return match context.rings.see(cluster_id, parse(cluster_id, secret)?)? {
            Seen::Current(stored) => Ok(Found::Stored(stored)),
            Seen::Older(newest) => Box::pin(put_back(context, cluster_id, newest)).await.map(Found::Restored),
        };
    }
    let Some(copy) = context.rings.copy(cluster_id) else { return Ok(Found::Gone) };
    tracing::error!(cluster = cluster_id, secret = name, "kmsuser's passwords were deleted; putting them back");
    let restored = effect::at(Site::RingRestore, secrets.put_if_absent(namespace, &name, &[], copy)).await?;
    newest(context, cluster_id, parse(cluster_id, restored)?).await.map(Found::Restored)
}

/// Creates the ring of a cluster that has none: the way out when it was lost while disconnected (P1, last row but one of its table). If there
/// is one by now, that one is returned.
///
/// # Errors
/// [`RingAccessError`].
pub async fn create(
    context: &Context,
    site: Site,
    cluster_id: &str,
    ring: &Ring,
) -> Result<StoredRing, RingAccessError> {
    let secrets = context.secrets(Controller::CustomKeyStore);
    let data = SecretData::default().with(RING, ring.encode().as_slice());
    let (namespace, name) = (&context.namespaces().vault, name(cluster_id));
    let stored = effect::at(site, secrets.put_if_absent(namespace, &name, &[], data)).await?;
    newest(context, cluster_id, parse(cluster_id, stored)?).await
}

/// Writes a changed ring back, on exactly the version that was read, and returns what is stored then.
///
/// # Errors
/// [`RingAccessError::Secret`] with a conflict inside when somebody else wrote first: read again, adopt what is there (INV-27).
pub async fn write(
    context: &Context,
    site: Site,
    cluster_id: &str,
    changed: StoredRing,
) -> Result<StoredRing, RingAccessError> {
    let stored = replace(context, site, cluster_id, &changed).await?;
    newest(context, cluster_id, stored).await
}

/// What was read back after a write, or all that is known if somebody put an older ring in its place meanwhile.
async fn newest(context: &Context, cluster_id: &str, stored: StoredRing) -> Result<StoredRing, RingAccessError> {
    match context.rings.see(cluster_id, stored)? {
        Seen::Current(stored) => Ok(stored),
        Seen::Older(newest) => Box::pin(put_back(context, cluster_id, newest)).await,
    }
}

/// Writes what is newer than the older ring that was read, over exactly that one: without it the next write, or the end of this process, would
/// lose the only password that the HSMs take (INV-24).
async fn put_back(context: &Context, cluster_id: &str, newest: StoredRing) -> Result<StoredRing, RingAccessError> {
    let (namespace, name) = (context.namespaces().vault.clone(), name(cluster_id));
    tracing::error!(
        cluster = cluster_id,
        secret = name,
        "kmsuser's passwords were replaced by older ones; putting the newest back"
    );
    let stored = replace(context, Site::RingRestore, cluster_id, &newest).await?;
    match context.rings.see(cluster_id, stored)? {
        Seen::Current(stored) => Ok(stored),
        // Whoever does that again and again is not to keep this reconcile busy.
        Seen::Older(_) => Err(SecretError::Vanished { namespace, name }.into()),
    }
}

/// Writes on exactly the version that was read, and keeps what was written, before it is compared with what is read back: from this process fewer
/// entries than before are a pruned ring, and no older one.
async fn replace(
    context: &Context,
    site: Site,
    cluster_id: &str,
    changed: &StoredRing,
) -> Result<StoredRing, RingAccessError> {
    let secrets = context.secrets(Controller::CustomKeyStore);
    let (namespace, name) = (&context.namespaces().vault, name(cluster_id));
    let stored = effect::at(site, secrets.replace(namespace, &name, &changed.secret, changed.data())).await?;
    context.rings.keep(cluster_id, changed);
    parse(cluster_id, stored)
}

fn parse(cluster_id: &str, secret: StoredSecret) -> Result<StoredRing, RingAccessError> {
    let missing = || SecretError::Entry { name: name(cluster_id), key: RING.into() };
    let ring = Ring::parse(secret.data.bytes(RING).ok_or_else(missing)?)?;
    let consumed = secret.data.bytes(SUPPLIED).and_then(|text| serde_json::from_slice(text).ok());
    let hash_key = match secret.data.bytes(HASH_KEY) {
        Some(key) => key.to_vec(),
        None => random::bytes::<32>()?.to_vec(),
    };
    Ok(StoredRing { ring, consumed, hash_key, secret })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hsm_initialization::password::Password;

    fn stored(data: SecretData) -> StoredRing {
        parse("cluster-a", crate::secrets::StoredSecret::for_tests(data)).unwrap()
    }

    pub(super) fn first() -> SecretData {
        let ring = Ring::first(Password::generate().unwrap(), [7; 16]);
        SecretData::default().with(RING, ring.encode().as_slice())
    }

    fn supplied<'a>(password: &'a str, version: &'a str) -> Supplied<'a> {
        Supplied { uid: "u", resource_version: version, password }
    }

    /// INV-30.
    #[test]
    fn a_password_is_consumed_once_and_touching_its_secret_does_not_renew_it() {
        let mut ring = stored(first());
        assert!(ring.is_new(&supplied("tempPassword", "1")));
        ring.consume(&supplied("tempPassword", "1"));
        let again = stored(ring.data());
        assert!(!again.is_new(&supplied("tempPassword", "2")));
        assert!(again.is_new(&supplied("tempPassword2", "3")));
    }

    /// INV-29: what is remembered of a user's password cannot be searched for without the key.
    #[test]
    fn the_record_of_a_consumed_password_does_not_contain_it() {
        let mut ring = stored(first());
        ring.consume(&supplied("tempPassword", "1"));
        let record = ring.data();
        assert!(!record.text(SUPPLIED).unwrap().contains("tempPassword"));
        let mut other = stored(first());
        other.consume(&supplied("tempPassword", "1"));
        assert_ne!(record.text(SUPPLIED), other.data().text(SUPPLIED));
    }

    #[test]
    fn a_secret_without_a_ring_is_an_error_and_not_an_empty_ring() {
        let damaged = SecretData::default().with(RING, "[]");
        for data in [SecretData::default(), damaged] {
            assert!(parse("cluster-a", crate::secrets::StoredSecret::for_tests(data)).is_err());
        }
    }
}
