//! The gateway's client certificate for a cluster, and the handover from one key to the next (`operator_domain::certificate`).
//!
//! Secret `<clusterId>-client` in the gateway's namespace: the gateway uses `tls.crt` and `tls.key`. `next.crt` and `next.key` wait until
//! the HSMs admit the new key as a delegate (D12), and `previous.crt` lists the certificates that a replica may still use.

use std::time::{Duration, SystemTime};

use hsm_client::pki::{self, CertificateAuthority, ClientRole};
use hsm_initialization::custody::entry::{CERTIFICATE, PRIVATE_KEY, TRUST_ANCHOR};
use operator_api::labels;
use operator_domain::Timestamp;
use operator_domain::certificate::{ClientKeys, Handover, Registration, Term, handover};

use super::{CertificateError, end_of, private_key, text, time_of};
use crate::secrets::{SecretData, SecretStore, StoredSecret};

const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const PREVIOUS: &str = "previous.crt";

/// Secret of the gateway's client certificate for a cluster, in the gateway namespace.
#[must_use]
pub fn name(cluster_id: &str) -> String {
    format!("{cluster_id}-client")
}

/// The public keys that the HSMs are to admit as the gateway, in order.
///
/// # Errors
/// When the Secret's certificates cannot be read.
pub fn delegates(name: &str, data: &SecretData) -> Result<Vec<[u8; 32]>, CertificateError> {
    let next = data.text(NEXT_CERTIFICATE).unwrap_or_default();
    let previous = data.text(PREVIOUS).unwrap_or_default();
    let mut keys = Vec::new();
    for certificate in pki::certificates(&format!("{}\n{next}\n{previous}", text(name, data, CERTIFICATE)?))? {
        keys.push(pki::public_key_fingerprint(&certificate)?);
    }
    // Which of them is in use makes no difference to the HSMs.
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// The public key that waits to be used.
fn next_key(data: &SecretData) -> Result<Option<[u8; 32]>, CertificateError> {
    Ok(data.text(NEXT_CERTIFICATE).map(pki::public_key_fingerprint).transpose()?)
}

/// What a step of the handover came to.
pub struct Outcome {
    /// When the certificate in use ends.
    pub end: Timestamp,
    /// For how long a next key has been waiting to be registered.
    pub waiting: Duration,
    /// What was done, or is waited for.
    pub step: Handover,
}

/// One step of one cluster's handover.
pub struct GatewayClient<'a> {
    /// The Secrets.
    pub secrets: &'a SecretStore,
    /// The gateway's namespace.
    pub namespace: &'a str,
    /// The cluster.
    pub cluster_id: &'a str,
    /// The cluster's customer CA.
    pub authority: &'a CertificateAuthority,
    /// How long certificates last.
    pub term: Term,
    /// The present time.
    pub now: SystemTime,
}

impl GatewayClient<'_> {
    /// Makes the Secret if it is missing, else does what is due. `registered` tells how many HSMs admit a key.
    ///
    /// # Errors
    /// See [`CertificateError`]; the next attempt goes on from what is stored.
    pub async fn advance(
        &self,
        registered: impl AsyncFnOnce(&[u8; 32]) -> Result<Registration, CertificateError>,
    ) -> Result<Outcome, CertificateError> {
        let name = name(self.cluster_id);
        let Some(stored) = self.secrets.read(self.namespace, &name).await? else { return self.make(&name).await };
        let keys = keys(&name, &stored.data)?;
        let registration = match next_key(&stored.data)? {
            Some(key) => registered(&key).await?,
            None => Registration::Missing,
        };
        let step = handover(self.term, &keys, registration, time_of(self.now));
        let waiting = keys.next.map(|end| self.age(end)).unwrap_or_default();
        let changed = match step {
            Handover::Rest(_) | Handover::AwaitRegistration => return Ok(Outcome { end: keys.current, waiting, step }),
            Handover::MakeNext => {
                let issued = self.issue(&name)?;
                kept(&stored.data, &[NEXT_CERTIFICATE, NEXT_KEY])
                    .with(NEXT_CERTIFICATE, issued.certificate.as_str())
                    .with(NEXT_KEY, issued.key.expose())
            }
            Handover::Reissue => {
                kept(&stored.data, &[CERTIFICATE]).with(CERTIFICATE, self.reissued(&name, &stored.data)?)
            }
            Handover::Promote => promoted(&name, &stored.data)?,
            Handover::ForgetEnded => {
                let alive = alive(&stored.data, time_of(self.now))?;
                let data = kept(&stored.data, &[PREVIOUS]);
                if alive.is_empty() { data } else { data.with(PREVIOUS, alive) }
            }
        };
        let end = end_of(text(&name, &changed, CERTIFICATE)?)?;
        self.store(&name, &stored, changed).await?;
        tracing::info!(secret = name, step = ?step, "went on with the gateway's client certificate");
        Ok(Outcome { end, waiting, step })
    }

    async fn make(&self, name: &str) -> Result<Outcome, CertificateError> {
        let issued = self.issue(name)?;
        let data = SecretData::default()
            .with(CERTIFICATE, issued.certificate.as_str())
            .with(PRIVATE_KEY, issued.key.expose())
            .with(TRUST_ANCHOR, self.authority.certificate());
        let labels = [(labels::CLUSTER_ID, self.cluster_id), (labels::MANAGED_BY, labels::OPERATOR)];
        let stored = self.secrets.put_if_absent(self.namespace, name, &labels, data).await?;
        let end = end_of(text(name, &stored.data, CERTIFICATE)?)?;
        // As with a next key: no HSM has heard of it.
        Ok(Outcome { end, waiting: Duration::ZERO, step: Handover::MakeNext })
    }

    /// How long ago a certificate was issued that ends at `end`.
    fn age(&self, end: Timestamp) -> Duration {
        let left = end.as_unix_seconds().saturating_sub(time_of(self.now).as_unix_seconds());
        self.term.lifetime().saturating_sub(Duration::from_secs(u64::try_from(left).unwrap_or_default()))
    }

    fn issue(&self, name: &str) -> Result<pki::Issued, CertificateError> {
        Ok(self.authority.issue_client_for(ClientRole::Gateway, name, self.now, self.term.lifetime())?)
    }

    /// Another certificate for the key in use.
    fn reissued(&self, name: &str, data: &SecretData) -> Result<String, CertificateError> {
        let key = private_key(name, data, PRIVATE_KEY)?;
        Ok(self.authority.renew_client(ClientRole::Gateway, name, &key, self.now, self.term.lifetime())?)
    }

    async fn store(&self, name: &str, stored: &StoredSecret, data: SecretData) -> Result<(), CertificateError> {
        self.secrets.replace(self.namespace, name, stored, data).await?;
        Ok(())
    }
}

fn keys(name: &str, data: &SecretData) -> Result<ClientKeys, CertificateError> {
    let previous = pki::certificates(data.text(PREVIOUS).unwrap_or_default())?;
    Ok(ClientKeys {
        current: end_of(text(name, data, CERTIFICATE)?)?,
        next: data.text(NEXT_CERTIFICATE).map(end_of).transpose()?,
        previous: previous.iter().map(|certificate| end_of(certificate)).collect::<Result<_, _>>()?,
    })
}

/// The next key becomes the one in use; the one that was is admitted until its certificate ends.
fn promoted(name: &str, data: &SecretData) -> Result<SecretData, CertificateError> {
    let previous = format!("{}{}", data.text(PREVIOUS).unwrap_or_default(), text(name, data, CERTIFICATE)?);
    Ok(kept(data, &[CERTIFICATE, PRIVATE_KEY, NEXT_CERTIFICATE, NEXT_KEY, PREVIOUS])
        .with(CERTIFICATE, text(name, data, NEXT_CERTIFICATE)?)
        .with(PRIVATE_KEY, text(name, data, NEXT_KEY)?)
        .with(PREVIOUS, previous))
}

/// The previous certificates that have not ended.
fn alive(data: &SecretData, now: Timestamp) -> Result<String, CertificateError> {
    let mut alive = String::new();
    for certificate in pki::certificates(data.text(PREVIOUS).unwrap_or_default())? {
        if end_of(&certificate)? > now {
            alive.push_str(&certificate);
        }
    }
    Ok(alive)
}

/// A copy without some entries.
fn kept(data: &SecretData, without: &[&str]) -> SecretData {
    data.keys()
        .filter(|key| !without.contains(key))
        .fold(SecretData::default(), |kept, key| kept.with(key, data.bytes(key).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(authority: &CertificateAuthority, now: SystemTime) -> SecretData {
        let of = |seconds| {
            authority.issue_client_for(ClientRole::Gateway, "gateway", now, Duration::from_secs(seconds)).unwrap()
        };
        let (current, next, ended) = (of(60), of(90), of(1));
        SecretData::default()
            .with(CERTIFICATE, current.certificate.as_str())
            .with(PRIVATE_KEY, current.key.expose())
            .with(TRUST_ANCHOR, authority.certificate())
            .with(NEXT_CERTIFICATE, next.certificate.as_str())
            .with(NEXT_KEY, next.key.expose())
            .with(PREVIOUS, ended.certificate.as_str())
    }

    /// D12: the set of admitted keys does not change when the next key becomes the one in use, so nothing has to be registered then.
    #[test]
    fn the_same_keys_are_admitted_before_and_after_the_next_one_is_put_to_use() {
        let now = SystemTime::now();
        let made = CertificateAuthority::generate_operator("test", now).unwrap();
        let authority = CertificateAuthority::load(&made.certificate, &made.key).unwrap();
        let before = data(&authority, now);
        let after = promoted("x", &before).unwrap();
        assert_eq!(delegates("x", &before).unwrap().len(), 3);
        assert_eq!(delegates("x", &before).unwrap(), delegates("x", &after).unwrap());
        assert_eq!(after.text(CERTIFICATE), before.text(NEXT_CERTIFICATE));
        assert_eq!(after.text(PRIVATE_KEY), before.text(NEXT_KEY));
        assert!(next_key(&after).unwrap().is_none() && after.bytes(NEXT_KEY).is_none());
        assert_eq!(after.text(TRUST_ANCHOR), before.text(TRUST_ANCHOR));
        let later = time_of(now + Duration::from_secs(2));
        assert_eq!(pki::certificates(&alive(&after, later).unwrap()).unwrap().len(), 1, "the one that was in use");
    }
}
