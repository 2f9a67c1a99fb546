//! Csr: the cluster's certificate signing request, from the one HSM that will be initialised (spec 1.3 step 3).

use std::sync::Arc;

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{CsrReply, HsmState};
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::hsm::Hsm;
use crate::membership::Membership;
use crate::store::record::RecordKind;
use crate::vault::rows::{ClusterRow, put};
use crate::vault::{Outcome, storage_code};

/// Makes the cluster key, durably and once, and requests a certificate for it.
///
/// # Errors
/// `WrongState` unless the HSM is ASSIGNED: afterwards there is no CSR any more.
pub(crate) async fn run(hsm: &Hsm) -> Outcome<CsrReply> {
    let _change = hsm.change.lock().await;
    let member = hsm.member();
    if member.state != HsmState::Assigned {
        return Err(ReturnCode::WrongState);
    }
    let key = match &member.pending_key {
        Some(key) => key_pair(key)?,
        None => make_key(hsm, &member).await?,
    };
    requests(hsm, &member, &key).map_err(|error| {
        tracing::error!(%error, "failed to make the certificate signing request");
        ReturnCode::Internal
    })
}

/// Reads a stored cluster key.
///
/// # Errors
/// `Internal` if it is not one.
pub(super) fn key_pair(pkcs8: &[u8]) -> Outcome<KeyPair> {
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8)).map_err(|_| ReturnCode::Internal)
}

async fn make_key(hsm: &Hsm, member: &Membership) -> Outcome<KeyPair> {
    let key = KeyPair::generate().map_err(|_| ReturnCode::Internal)?;
    let pkcs8 = Zeroizing::new(key.serialize_der());
    let row = ClusterRow {
        cluster_key: pkcs8.to_vec(),
        cluster_certificate: Vec::new(),
        trust_anchor: Vec::new(),
        masking_key: Vec::new(),
        state: HsmState::Assigned as i32,
    };
    let stored = hsm.store.commit(vec![put(RecordKind::Cluster, &[], &row)]).await;
    stored.map_err(|error| storage_code(&error))?;
    let next = Membership { pending_key: Some(Arc::new(pkcs8)), ..member.clone() };
    hsm.membership.store(Arc::new(next));
    Ok(key)
}

fn requests(hsm: &Hsm, member: &Membership, key: &KeyPair) -> Result<CsrReply, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "keystores.dev");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "CloudHSM");
    params.distinguished_name.push(DnType::CommonName, format!("HSM:{}:PARTN:1", member.cluster_id()));
    let identity = hsm.identity.row();
    let identity_key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(&identity.identity_key[..]))?;
    let hardware = CertificateDer::from(identity.identity_certificate.clone());
    let hardware_certificate_pem = pem(&hardware);
    let issuer = Issuer::from_ca_cert_der(&hardware, identity_key)?;
    Ok(CsrReply {
        csr_pem: params.serialize_request(key)?.pem()?,
        hsm_certificate_pem: params.signed_by(key, &issuer)?.pem(),
        hardware_certificate_pem,
    })
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
