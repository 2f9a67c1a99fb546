//! What the bench tells a gateway process at its start.

use std::net::SocketAddr;

use anyhow::Result;
use hsm_client::pki::PrivateKeyPem;
use hsm_client::{ClientIdentity, HsmEndpoint, TrustAnchor};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::AccessKey;
use crate::certificates::Credentials;

/// What a request costs behind HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Nothing: the answer is always the same bytes. The ceiling of the HTTP library.
    FixedReply,
    /// All of the gateway's own work, and sealing in the same process. The ceiling of the way to the HSMs.
    InProcessSeal,
    /// The whole path.
    Hsms,
}

/// How work is spread over threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Layout {
    /// One runtime per core, as the product does it.
    PerCore,
    /// One runtime whose threads take work from each other.
    Shared,
}

/// Settings of one gateway. Has no `Debug`: it holds keys.
#[derive(Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) work: Work,
    pub(crate) layout: Layout,
    pub(crate) serving: Credentials,
    pub(crate) access_key: AccessKey,
    pub(crate) key_id: Uuid,
    pub(crate) hsms: Option<Hsms>,
}

/// Where a gateway listens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
}

/// How to use the keys of the HSMs as a delegate. Has no `Debug`: it holds a key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Hsms {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) trust_anchor: String,
    pub(crate) store_id: String,
    pub(crate) generation: u64,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// [`HsmEndpoint`] on its way through a pipe.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    hsm_id: String,
    availability_zone: String,
    address: SocketAddr,
    identity_fingerprint: [u8; 32],
    host_certificate_fingerprint: [u8; 32],
}

impl Hsms {
    /// The client identity of the delegate.
    pub(crate) fn identity(&self) -> Result<ClientIdentity> {
        let key = PrivateKeyPem::parse(Zeroizing::new(self.key.clone()))?;
        Ok(ClientIdentity::from_pem(&self.certificate, &key)?)
    }

    /// The cluster's trust anchor.
    pub(crate) fn anchor(&self) -> Result<TrustAnchor> {
        Ok(TrustAnchor::parse(&self.trust_anchor)?)
    }

    /// The HSMs.
    pub(crate) fn endpoints(&self) -> Vec<HsmEndpoint> {
        let endpoint = |endpoint: &Endpoint| HsmEndpoint {
            hsm_id: endpoint.hsm_id.clone(),
            availability_zone: endpoint.availability_zone.clone(),
            address: endpoint.address,
            identity_fingerprint: endpoint.identity_fingerprint,
            host_certificate_fingerprint: endpoint.host_certificate_fingerprint,
        };
        self.endpoints.iter().map(endpoint).collect()
    }
}

impl From<HsmEndpoint> for Endpoint {
    fn from(endpoint: HsmEndpoint) -> Self {
        let HsmEndpoint { hsm_id, availability_zone, address, identity_fingerprint, host_certificate_fingerprint } =
            endpoint;
        Self { hsm_id, availability_zone, address, identity_fingerprint, host_certificate_fingerprint }
    }
}
