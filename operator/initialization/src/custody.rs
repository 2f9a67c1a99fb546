//! Where secrets are kept. The procedure writes each one before it uses it, and uses only what it read back.

use crate::error::InitializationError;
use crate::password::Password;
use hsm_client::pki::PrivateKeyPem;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A Secret of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretName {
    /// Operator CA: `ca.crt`, `ca.key`. In the vault.
    OperatorAuthority,
    /// Pod certificates: `<pod>.crt`, `<pod>.key`, `operator-ca.crt`. Beside the pods, which mount it.
    Pods,
    /// `share`: 32 random bytes, half of every HSM's sealing root. Beside the pods.
    SealingShare,
    /// Customer CA: `customerCA.crt`, `customerCA.key`. In the vault.
    CustomerAuthority,
    /// `preco-password`, `password`, `op-id`: first and second password of the officer `admin`. In the vault.
    Officer,
    /// Controllers' client certificate: `tls.crt`, `tls.key`, `trust-anchor.crt`. In the vault.
    ControllersClient,
    /// `ring`: passwords of `kmsuser` ([`crate::ring::Ring`]). In the vault.
    Ring,
}

impl SecretName {
    /// Every Secret of a cluster.
    pub const ALL: [Self; 7] = [
        Self::OperatorAuthority,
        Self::Pods,
        Self::SealingShare,
        Self::CustomerAuthority,
        Self::Officer,
        Self::ControllersClient,
        Self::Ring,
    ];

    /// The Secret's name: `<clusterId>-<suffix>`.
    pub fn of(self, cluster_id: &str) -> String {
        let suffix = match self {
            Self::OperatorAuthority => "operator-ca",
            Self::Pods => "pods",
            Self::SealingShare => "sealing",
            Self::CustomerAuthority => "customer-ca",
            Self::Officer => "officer",
            Self::ControllersClient => "controllers-client",
            Self::Ring => "kmsuser",
        };
        format!("{cluster_id}-{suffix}")
    }

    /// Whether it lies in the HSMs' namespace, because pods mount it; the others lie in the vault.
    pub fn is_beside_the_pods(self) -> bool {
        match self {
            Self::Pods | Self::SealingShare => true,
            Self::OperatorAuthority
            | Self::CustomerAuthority
            | Self::Officer
            | Self::ControllersClient
            | Self::Ring => false,
        }
    }
}

/// Names of entries.
pub mod entry {
    /// Operator CA certificate in its own Secret.
    pub const AUTHORITY_CERTIFICATE: &str = "ca.crt";
    /// Operator CA key.
    pub const AUTHORITY_KEY: &str = "ca.key";
    /// Operator CA certificate beside the pods' own.
    pub const OPERATOR_CA: &str = "operator-ca.crt";
    /// Sealing share.
    pub const SHARE: &str = "share";
    /// Customer CA certificate: the trust anchor.
    pub const CUSTOMER_CERTIFICATE: &str = "customerCA.crt";
    /// Customer CA key.
    pub const CUSTOMER_KEY: &str = "customerCA.key";
    /// Password with which the pre-crypto officer is made.
    pub const PRECO_PASSWORD: &str = "preco-password";
    /// Password of the crypto officer afterwards.
    pub const OFFICER_PASSWORD: &str = "password";
    /// Operation id of that change, hex.
    pub const OFFICER_OP_ID: &str = "op-id";
    /// Client certificate.
    pub const CERTIFICATE: &str = "tls.crt";
    /// Its key.
    pub const PRIVATE_KEY: &str = "tls.key";
    /// Trust anchor beside a client certificate.
    pub const TRUST_ANCHOR: &str = "trust-anchor.crt";
    /// The ring, JSON.
    pub const RING: &str = "ring";
}

/// Entries of one Secret. No `Debug` and no `Clone`; values are wiped on drop.
#[derive(Default)]
pub struct SecretEntries(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl SecretEntries {
    /// Adds or replaces an entry.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.0.insert(name.to_owned(), Zeroizing::new(value.into()));
        self
    }

    /// The bytes of an entry.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|value| value.as_slice())
    }

    /// Every entry.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    pub(crate) fn text(&self, secret: SecretName, name: &'static str) -> Result<&str, InitializationError> {
        self.bytes(name)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .ok_or(InitializationError::SecretMalformed { secret, entry: name })
    }

    pub(crate) fn password(&self, secret: SecretName, name: &'static str) -> Result<Password, InitializationError> {
        Ok(Password::from_text(Zeroizing::new(self.text(secret, name)?.to_owned())))
    }

    pub(crate) fn key(&self, secret: SecretName, name: &'static str) -> Result<PrivateKeyPem, InitializationError> {
        Ok(PrivateKeyPem::parse(Zeroizing::new(self.text(secret, name)?.to_owned()))?)
    }
}

/// A Secret could not be read or written. Names the Secret, never a value.
#[derive(Debug, thiserror::Error)]
#[error("failed to keep the secret {}: {reason}", secret.of("<cluster>"))]
pub struct CustodyError {
    /// Which Secret.
    pub secret: SecretName,
    /// What the store said.
    pub reason: String,
}

/// The keeper of a cluster's Secrets. Implemented over the API server by the controllers, in memory by tests.
pub trait Custody: Send + Sync {
    /// Adds those `entries` that are absent, all in one write, creating the Secret if need be. An entry that exists is
    /// never changed: whoever wrote first wins.
    ///
    /// # Errors
    /// [`CustodyError`]; the write may have happened all the same, which the next read shows.
    fn put_if_absent(
        &self,
        secret: SecretName,
        entries: SecretEntries,
    ) -> impl Future<Output = Result<(), CustodyError>> + Send;

    /// Reads a Secret from its authority, not from a cache; `None` if there is none.
    ///
    /// # Errors
    /// [`CustodyError`].
    fn read(&self, secret: SecretName) -> impl Future<Output = Result<Option<SecretEntries>, CustodyError>> + Send;
}
