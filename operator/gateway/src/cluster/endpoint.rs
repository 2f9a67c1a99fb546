//! From an HSM in a cluster's status to an endpoint that sessions can be opened to.

use std::net::{IpAddr, SocketAddr};

use hsm_client::HsmEndpoint;
use operator_api::cloud_hsm_cluster::{Hsm, HsmState};

/// Where a client finds an HSM. One that has no address, or is on its way out, is no endpoint.
pub(super) fn endpoint(hsm: &Hsm) -> Option<HsmEndpoint> {
    if !matches!(hsm.state, HsmState::Active | HsmState::Degraded) {
        return None;
    }
    let address: IpAddr = hsm.eni_ip.as_deref()?.parse().ok()?;
    Some(HsmEndpoint {
        hsm_id: hsm.hsm_id.clone(),
        availability_zone: hsm.availability_zone.clone(),
        address: SocketAddr::new(address, hsm.client_port),
        identity_fingerprint: fingerprint(&hsm.identity_fingerprint)?,
        host_certificate_fingerprint: fingerprint(hsm.host_certificate_fingerprint.as_deref()?)?,
    })
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}
