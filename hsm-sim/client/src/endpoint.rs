//! Where one HSM is and by what it is recognised.

use std::net::SocketAddr;

/// One HSM of a cluster, as the operator's resources record it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HsmEndpoint {
    /// `hsm-…`; the HSM must state it in its signed Hello.
    pub hsm_id: String,
    /// Zone; the HSM must state it too, because the durability rule counts zones (D8).
    pub availability_zone: String,
    /// Address of the client listener (port 2223).
    pub address: SocketAddr,
    /// SHA-256 of the identity key's SubjectPublicKeyInfo (INV-01, T-12).
    pub identity_fingerprint: [u8; 32],
    /// SHA-256 of the self-signed host certificate of the outer layer (HSM-10).
    pub host_certificate_fingerprint: [u8; 32],
}
