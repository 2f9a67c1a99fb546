//! The Secrets of the gateway's own namespace: access keys, client identities, the serving certificate.
//!
//! Each Secret goes to the one taker that knows its kind; nothing keeps a Secret as a whole.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_api::labels;
use zeroize::{Zeroize, Zeroizing};

use super::access_keys::AccessKeys;
use super::client_identities;
use super::connections::Connections;
use super::feed::{Feed, ObjectName};
use super::readiness::Readiness;
use crate::metrics::Metrics;
use crate::server::ServingCertificate;

/// Name of the Secret with the serving certificate.
const SERVING: &str = "gateway-serving";
/// What the readiness waits for until there is a certificate.
pub(super) const CERTIFICATE: &str = "serving certificate";

/// The feed of `Secret` in the gateway's namespace.
pub(super) struct Secrets {
    pub(super) access_keys: Arc<AccessKeys>,
    pub(super) connections: Arc<Connections>,
    pub(super) certificate: Arc<ServingCertificate>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) metrics: Metrics,
}

impl Feed for Secrets {
    type Object = Secret;
    const NAME: &'static str = "secrets";

    fn put(&mut self, mut object: Secret) {
        let name = object.name_any();
        let data = Entries(object.data.take().unwrap_or_default());
        if object.labels().get(labels::ACCESS_KEY).is_some_and(|value| value == labels::TRUE) {
            self.access_keys.put(&name, &data);
        } else if name == SERVING {
            self.install(&data);
        } else if let Some(cluster_id) = name.strip_suffix(client_identities::SUFFIX) {
            match client_identities::read(&data) {
                Ok(identity) => self.connections.put_identity(cluster_id, &identity),
                Err(error) => tracing::error!(%error, secret = name, "a client identity cannot be used"),
            }
        }
    }

    fn remove(&mut self, (_, name): &ObjectName) {
        self.access_keys.remove(name);
        if let Some(cluster_id) = name.strip_suffix(client_identities::SUFFIX) {
            self.connections.remove_identity(cluster_id);
        }
    }

    fn retain(&mut self, present: &HashSet<ObjectName>) {
        let names: HashSet<&str> = present.iter().map(|(_, name)| name.as_str()).collect();
        self.access_keys.retain(|name| names.contains(name));
        self.connections.retain_identities(|cluster_id| {
            names.contains(format!("{cluster_id}{}", client_identities::SUFFIX).as_str())
        });
    }
}

impl Secrets {
    /// A new certificate is served from the next handshake on; one that cannot be used leaves the present one.
    fn install(&self, data: &Entries) {
        let (Some(certificate), Some(key)) = (data.bytes("tls.crt"), data.bytes("tls.key")) else {
            tracing::error!("the serving certificate's Secret lacks tls.crt or tls.key");
            return;
        };
        match self.certificate.install(certificate, key) {
            Ok(()) => {
                self.metrics.serving_certificate_end.set(self.certificate.end().unwrap_or_default());
                self.readiness.done(CERTIFICATE);
            }
            Err(error) => tracing::error!(%error, "a serving certificate cannot be used"),
        }
    }
}

/// The data of a Secret; wiped on drop, never printed.
pub(super) struct Entries(BTreeMap<String, ByteString>);

impl Entries {
    pub(super) fn bytes(&self, entry: &str) -> Option<&[u8]> {
        self.0.get(entry).map(|value| value.0.as_slice())
    }

    /// An entry that is text; surrounding white space is not part of it.
    pub(super) fn text(&self, entry: &str) -> Option<&str> {
        self.bytes(entry).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::trim)
    }

    /// A secret entry as text of its own.
    pub(super) fn secret(&self, entry: &str) -> Option<Zeroizing<String>> {
        self.text(entry).map(|text| Zeroizing::new(text.to_owned()))
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        self.0.values_mut().for_each(|value| value.0.zeroize());
    }
}

#[cfg(test)]
impl From<&[(&str, &str)]> for Entries {
    fn from(entries: &[(&str, &str)]) -> Self {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), ByteString(value.as_bytes().to_vec())));
        Self(entries.collect())
    }
}
