//! Hello: which HSM this is, signed by its identity key over this very TLS session (INV-01, T-12).

use std::time::{SystemTime, UNIX_EPOCH};

use hsm_protocol::message::{HelloReply, HelloRequest};
use hsm_protocol::{ReturnCode, limits, signing};

use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::Outcome;

/// Signs the session, the nonce and every field.
///
/// # Errors
/// `InvalidArgument` for a nonce of the wrong length, `WrongState` for a second Hello.
pub(crate) fn run(hsm: &Hsm, session: &Session, request: &HelloRequest) -> Outcome<HelloReply> {
    if !limits::CLIENT_NONCE.contains(&request.client_nonce.len()) {
        return Err(ReturnCode::InvalidArgument);
    }
    session.greet()?;
    let member = hsm.member();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut reply = HelloReply {
        hsm_id: member.hsm_id().to_owned(),
        cluster_id: member.cluster_id().to_owned(),
        availability_zone: member.availability_zone().to_owned(),
        incarnation: hsm.incarnation,
        identity_spki_der: hsm.identity.spki_der.clone(),
        state: member.state as i32,
        wall_clock_unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        signature: Vec::new(),
    };
    let statement = signing::hello(&session.client.hello_exporter, &request.client_nonce, &reply);
    reply.signature = hsm.identity.sign(&statement)?;
    Ok(reply)
}
