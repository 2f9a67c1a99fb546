//! The signed Hello: which HSM is at the other end of this very inner TLS session (INV-01, T-12).

use super::connect_error::ConnectError;
use super::connection::Connection;
use crate::endpoint::HsmEndpoint;
use crate::error::HsmError;
use crate::pki::sha256;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use hsm_protocol::message::{HelloReply, HelloRequest, HsmState};
use hsm_protocol::signing;
use std::time::Duration;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What an HSM proved about itself when the session opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HsmIdentity {
    /// `hsm-…`
    pub hsm_id: String,
    /// Cluster it was assigned to.
    pub cluster_id: String,
    /// Zone it was assigned to.
    pub availability_zone: String,
    /// Counts starts of the process on this volume.
    pub incarnation: u64,
    /// SHA-256 of the identity key's SubjectPublicKeyInfo: what distinct copies are counted by.
    pub identity_fingerprint: [u8; 32],
    /// State at that moment.
    pub state: HsmState,
    /// The HSM's wall clock at that moment, Unix milliseconds.
    pub wall_clock_unix_ms: u64,
}

pub(super) async fn prove(
    connection: &Connection,
    inner_exporter: &[u8],
    endpoint: &HsmEndpoint,
    timeout: Duration,
) -> Result<HsmIdentity, ConnectError> {
    let mut nonce = [0; 32];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| ConnectError::Hello(HsmError::Protocol("no randomness for a nonce".into())))?;
    let request = HelloRequest { client_nonce: nonce.to_vec() };
    let reply = connection.call(&request, timeout).await.map_err(ConnectError::Hello)?;
    verify_signature(&reply, inner_exporter, &nonce)?;
    recognise(&reply, endpoint)
}

fn verify_signature(reply: &HelloReply, exporter: &[u8], nonce: &[u8]) -> Result<(), ConnectError> {
    let no_proof = |what: &str| ConnectError::Hello(HsmError::Protocol(what.to_owned()));
    let (_, key) = SubjectPublicKeyInfo::from_der(&reply.identity_spki_der)
        .map_err(|_| no_proof("the identity key in Hello is not a public key"))?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.subject_public_key.data)
        .verify(&signing::hello(exporter, nonce, reply), &reply.signature)
        .map_err(|_| no_proof("the signature in Hello is wrong"))
}

fn recognise(reply: &HelloReply, endpoint: &HsmEndpoint) -> Result<HsmIdentity, ConnectError> {
    let identity_fingerprint = sha256(&reply.identity_spki_der);
    let mismatch = |what, expected: &str, found: &str| {
        Err(ConnectError::IdentityMismatch(format!("{what} is {found}, expected {expected}")))
    };
    if reply.hsm_id != endpoint.hsm_id {
        return mismatch("the HSM id", &endpoint.hsm_id, &reply.hsm_id);
    }
    if reply.availability_zone != endpoint.availability_zone {
        return mismatch("the zone", &endpoint.availability_zone, &reply.availability_zone);
    }
    if identity_fingerprint != endpoint.identity_fingerprint {
        let expected = hex::encode(endpoint.identity_fingerprint);
        return mismatch("the identity key", &expected, &hex::encode(identity_fingerprint));
    }
    Ok(HsmIdentity {
        hsm_id: reply.hsm_id.clone(),
        cluster_id: reply.cluster_id.clone(),
        availability_zone: reply.availability_zone.clone(),
        incarnation: reply.incarnation,
        identity_fingerprint,
        state: reply.state(),
        wall_clock_unix_ms: reply.wall_clock_unix_ms,
    })
}
