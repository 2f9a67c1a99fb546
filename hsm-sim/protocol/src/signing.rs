//! Exactly the bytes that are signed, built the same way on both sides.
//!
//! Every message starts with its own domain string, so that no signature can stand for another statement, and every
//! field is preceded by its length, so that no two field lists give the same bytes.

use crate::message::{HelloReply, HsmState};

const HELLO: &[u8] = b"keystores hsm hello v1\0";
const ASSIGNMENT: &[u8] = b"keystores assignment v1\0";
const ROSTER: &[u8] = b"keystores roster v1\0";
const JOIN_KEY: &[u8] = b"keystores join key v1\0";

/// What the identity key signs in Hello: the inner TLS session (`exporter`, see [`crate::labels::HELLO_EXPORTER`]),
/// the client's nonce and every field of the reply but the signature (INV-01, T-12).
#[must_use]
pub fn hello(exporter: &[u8], client_nonce: &[u8], reply: &HelloReply) -> Vec<u8> {
    let state = HsmState::try_from(reply.state).unwrap_or(HsmState::Unspecified) as i32;
    statement(
        HELLO,
        &[
            exporter,
            client_nonce,
            reply.hsm_id.as_bytes(),
            reply.cluster_id.as_bytes(),
            reply.availability_zone.as_bytes(),
            &reply.incarnation.to_be_bytes(),
            &reply.identity_spki_der,
            &state.to_be_bytes(),
            &reply.wall_clock_unix_ms.to_be_bytes(),
        ],
    )
}

/// What the operator CA signs over an encoded `Assignment`.
#[must_use]
pub fn assignment(encoded: &[u8]) -> Vec<u8> {
    statement(ASSIGNMENT, &[encoded])
}

/// What the operator CA signs over an encoded `Roster`.
#[must_use]
pub fn roster(encoded: &[u8]) -> Vec<u8> {
    statement(ROSTER, &[encoded])
}

/// What a joiner's identity key signs over its ephemeral public key; `exporter` binds it to the peer connection.
#[must_use]
pub fn join_key(exporter: &[u8], cluster_id: &str, hsm_id: &str, ephemeral_public_key: &[u8]) -> Vec<u8> {
    statement(JOIN_KEY, &[exporter, cluster_id.as_bytes(), hsm_id.as_bytes(), ephemeral_public_key])
}

fn statement(domain: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = domain.to_vec();
    for field in fields {
        bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> HelloReply {
        HelloReply { hsm_id: "hsm-a".into(), cluster_id: "cluster-b".into(), ..Default::default() }
    }

    #[test]
    fn bytes_cannot_move_from_one_field_to_the_next() {
        let moved = HelloReply { hsm_id: "hsm-ac".into(), cluster_id: "luster-b".into(), ..Default::default() };
        assert_ne!(hello(b"e", b"n", &reply()), hello(b"e", b"n", &moved));
        assert_ne!(hello(b"en", b"", &reply()), hello(b"e", b"n", &reply()));
    }

    #[test]
    fn every_field_of_hello_is_signed() {
        let base = hello(b"e", b"n", &reply());
        let changes: [fn(&mut HelloReply); 7] = [
            |r| r.hsm_id.push('x'),
            |r| r.cluster_id.push('x'),
            |r| r.availability_zone.push('x'),
            |r| r.incarnation += 1,
            |r| r.identity_spki_der.push(1),
            |r| r.state = HsmState::Active as i32,
            |r| r.wall_clock_unix_ms += 1,
        ];
        for change in changes {
            let mut changed = reply();
            change(&mut changed);
            assert_ne!(hello(b"e", b"n", &changed), base);
        }
    }

    #[test]
    fn one_body_signed_for_two_purposes_gives_different_bytes() {
        assert_ne!(assignment(b"body"), roster(b"body"));
    }
}
