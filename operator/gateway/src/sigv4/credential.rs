//! An access key as the verifier needs it: who it stands for, and the signing keys derived from its secret.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::service::Service;

/// The secret half of an access key. Zeroised on drop; has neither `Debug` nor `Clone` nor `Serialize` (INV-55).
pub struct SecretAccessKey(Zeroizing<String>);

impl SecretAccessKey {
    /// Takes ownership of the secret's text.
    #[must_use]
    pub fn new(secret: Zeroizing<String>) -> Self {
        Self(secret)
    }
}

/// The user that an access key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The namespace that the user belongs to (D1).
    pub namespace: Arc<str>,
    /// The account that the namespace had when the key was made. If it has another one now, the key is dead.
    pub account_id: Arc<str>,
    /// The name of the `KmsAccessKey`, which is the user's name.
    pub name: Arc<str>,
    /// The uid of the `KmsAccessKey`: stable while names may be used again.
    pub uid: Arc<str>,
}

/// An access key and the user it stands for.
pub struct Credential {
    /// The public half, `AKIA…`.
    pub access_key_id: Arc<str>,
    /// Whose key it is.
    pub user: User,
    secret: SecretAccessKey,
    signing_keys: [ArcSwapOption<SigningKey>; Service::COUNT],
}

struct SigningKey {
    date: String,
    region: String,
    key: hmac::Key,
}

/// Where the verifier finds access keys. Called once per request, on the hot path: must not block.
pub trait CredentialSource {
    /// The access key with this id.
    fn credential(&self, access_key_id: &str) -> Option<Arc<Credential>>;
}

impl Credential {
    /// An access key of `user`.
    #[must_use]
    pub fn new(access_key_id: Arc<str>, secret: SecretAccessKey, user: User) -> Self {
        let signing_keys = std::array::from_fn(|_| ArcSwapOption::const_empty());
        Self { access_key_id, user, secret, signing_keys }
    }

    /// The signature over `text` for a day, region and service. Its key is derived once per day and service and then kept:
    /// the four HMACs would otherwise be a tenth of the gateway's work per request (performance §3).
    pub(super) fn sign(&self, date: &str, region: &str, service: Service, text: &[u8]) -> hmac::Tag {
        let slot = self.signing_keys.get(service.index());
        if let Some(known) = slot.map(ArcSwapOption::load).as_deref().and_then(Option::as_deref)
            && known.date == date
            && known.region == region
        {
            return hmac::sign(&known.key, text);
        }
        let key = self.derive_for(date, region, service.scope_name());
        let signature = hmac::sign(&key, text);
        if let Some(slot) = slot {
            slot.store(Some(Arc::new(SigningKey { date: date.to_owned(), region: region.to_owned(), key })));
        }
        signature
    }

    /// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`.
    pub(super) fn derive_for(&self, date: &str, region: &str, service: &str) -> hmac::Key {
        let mut first = Zeroizing::new(Vec::with_capacity(4 + self.secret.0.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(self.secret.0.as_bytes());
        let start = hmac::Key::new(hmac::HMAC_SHA256, &first);
        [date, region, service, "aws4_request"]
            .into_iter()
            .fold(start, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
    }
}
