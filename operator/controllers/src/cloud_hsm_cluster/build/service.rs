//! The headless Service that gives each HSM pod a DNS name. Nothing is dialled through it: an HSM is a certain one, never any one.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{CLIENT_PORT, Desired, PEER_PORT, metadata, selector};

/// An uninitialised or joining HSM must be reachable, so addresses that are not ready are published (D18).
pub(in super::super) fn service(desired: &Desired, namespace: &str) -> Service {
    let port = |name: &str, port: i32| ServicePort {
        name: Some(name.into()),
        port,
        target_port: Some(IntOrString::String(name.into())),
        protocol: Some("TCP".into()),
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        cluster_ip: Some("None".into()),
        publish_not_ready_addresses: Some(true),
        selector: Some(selector(&desired.cluster_id)),
        ports: Some(vec![port("clients", CLIENT_PORT), port("peers", PEER_PORT)]),
        ..ServiceSpec::default()
    };
    Service { metadata: metadata(desired, namespace, desired.cluster_id.clone()), spec: Some(spec), status: None }
}

#[cfg(test)]
mod tests {
    use super::super::super::validate::tests::desired;
    use super::*;

    /// D18.
    #[test]
    fn the_service_is_headless_and_publishes_addresses_that_are_not_ready() {
        let spec = service(&desired(&["a"]), "keystore-hsm").spec.unwrap();
        assert_eq!(spec.cluster_ip.as_deref(), Some("None"));
        assert_eq!(spec.publish_not_ready_addresses, Some(true));
    }
}
