//! ProvisioningHello: identity and state of the volume.

use hsm_protocol::message::ProvisioningHelloReply;

use crate::hsm::Hsm;
use crate::tls::certificate::sha256;
use crate::vault::Outcome;

/// What the operator signs an assignment for, and how far the volume is.
///
/// # Errors
/// None.
pub(crate) fn run(hsm: &Hsm) -> Outcome<ProvisioningHelloReply> {
    let member = hsm.member();
    let identity = hsm.identity.row();
    let certificate = member.cluster.as_ref().map(|cluster| cluster.row().cluster_certificate.clone());
    Ok(ProvisioningHelloReply {
        identity_spki_der: hsm.identity.spki_der.clone(),
        host_certificate_der: identity.host_certificate.clone(),
        state: member.state as i32,
        hsm_id: member.hsm_id().to_owned(),
        cluster_id: member.cluster_id().to_owned(),
        availability_zone: member.availability_zone().to_owned(),
        incarnation: hsm.incarnation,
        cluster_certificate_der: certificate.unwrap_or_default(),
        roster_version: member.roster.as_ref().map_or(0, |roster| roster.version),
        identity_certificate_der: identity.identity_certificate.clone(),
        pod_certificate_sha256: hsm.pod.certificate.fingerprint().to_vec(),
        roster_sha256: if member.row.roster.is_empty() { Vec::new() } else { sha256(&member.row.roster).to_vec() },
    })
}
