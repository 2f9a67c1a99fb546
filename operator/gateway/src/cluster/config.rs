//! What a gateway process is told at its start. Flags and environment are read elsewhere.

use std::net::SocketAddr;

use crate::arn::Place;

/// Settings of one gateway replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Where HTTPS is served.
    pub listen: SocketAddr,
    /// The gateway's own namespace: access keys, client certificates, serving certificate, Leases.
    pub namespace: String,
    /// Partition and AWS Region of the endpoint.
    pub place: Place,
    /// Name of this replica, normally the pod's; its Lease is `gateway-<replica>`.
    pub replica: String,
    /// Availability zone of this replica, empty if unknown: HSMs of the same zone are asked first.
    pub zone: String,
}
