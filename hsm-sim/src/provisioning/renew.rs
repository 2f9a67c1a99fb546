//! RenewPodCertificate: a certificate of the operator CA with later dates, for the key that this pod has.

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{RenewPodCertificateReply, RenewPodCertificateRequest};

use crate::hsm::Hsm;
use crate::refusals::Refused;
use crate::vault::Outcome;

/// Presents it from the next handshake on.
///
/// # Errors
/// `InvalidArgument` if it is of another authority, pod or key.
pub(crate) fn run(hsm: &Hsm, request: &RenewPodCertificateRequest) -> Outcome<RenewPodCertificateReply> {
    match hsm.pod.certificate.renew(request.certificate_pem.as_bytes(), &hsm.pod_name) {
        Ok(()) => {
            tracing::info!("the pod's certificate was renewed");
            Ok(RenewPodCertificateReply {})
        }
        Err(unfit) => {
            hsm.refusals.note(Refused::Signature, None, format_args!("pod certificate: {unfit}"));
            Err(ReturnCode::InvalidArgument)
        }
    }
}
