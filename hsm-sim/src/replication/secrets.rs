//! Hands the cluster's secrets to a joining HSM, wrapped to a key that only it holds (D7).
//!
//! ECDH P-256 of two keys made for this one exchange; HKDF with the TLS exporter as salt and both HSM ids in the
//! purpose. So the secrets are confidential even if the TLS layer is not, and bound to this connection.

use aws_lc_rs::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use aws_lc_rs::rand::SystemRandom;
use hsm_protocol::ReturnCode;
use zeroize::Zeroizing;

use crate::seal::{self, SealError};
use crate::vault::{Outcome, internal};

const PURPOSE: &[u8] = b"keystores cluster secrets v1\0";

/// The connection and the two HSMs that an exchange is bound to.
pub(crate) struct Exchange<'a> {
    /// TLS exporter of the connection.
    pub(crate) exporter: &'a [u8],
    /// The cluster.
    pub(crate) cluster_id: &'a str,
    /// Who asks.
    pub(crate) joiner: &'a str,
    /// Who answers.
    pub(crate) giver: &'a str,
}

/// One side's key for one exchange.
pub(crate) struct Ephemeral {
    private: EphemeralPrivateKey,
    /// Uncompressed point.
    pub(crate) public: Vec<u8>,
}

impl Ephemeral {
    /// A fresh key.
    ///
    /// # Errors
    /// `Internal` if the generator fails.
    pub(crate) fn generate() -> Outcome<Self> {
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new());
        let private = private.map_err(|_| ReturnCode::Internal)?;
        let public = private.compute_public_key().map_err(|_| ReturnCode::Internal)?.as_ref().to_vec();
        Ok(Self { private, public })
    }
}

impl Exchange<'_> {
    fn binding(&self) -> Vec<u8> {
        let mut bytes = PURPOSE.to_vec();
        for field in [self.cluster_id, self.joiner, self.giver] {
            bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
            bytes.extend_from_slice(field.as_bytes());
        }
        bytes
    }

    fn key(&self, own: Ephemeral, theirs: &[u8]) -> Outcome<seal::SecretKey> {
        let theirs = UnparsedPublicKey::new(&ECDH_P256, theirs);
        let binding = self.binding();
        agree_ephemeral(own.private, theirs, SealError, |agreed| seal::subkey(self.exporter, &[agreed], &binding))
            .map_err(|_| ReturnCode::InvalidArgument)
    }

    /// Wraps the secrets.
    ///
    /// # Errors
    /// `InvalidArgument` if the other side's key is no point, `Internal` if the generator fails.
    pub(crate) fn wrap(&self, own: Ephemeral, theirs: &[u8], content: &[u8]) -> Outcome<Vec<u8>> {
        let key = self.key(own, theirs)?;
        seal::seal(&key, PURPOSE, &self.binding(), content).map_err(internal)
    }

    /// Unwraps them.
    ///
    /// # Errors
    /// `InvalidArgument` if they were not wrapped in this exchange.
    pub(crate) fn unwrap(&self, own: Ephemeral, theirs: &[u8], wrapped: &[u8]) -> Outcome<Zeroizing<Vec<u8>>> {
        let key = self.key(own, theirs)?;
        seal::open(&key, PURPOSE, &self.binding(), wrapped).map_err(|_| ReturnCode::InvalidArgument)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCHANGE: Exchange<'_> = Exchange { exporter: &[1; 32], cluster_id: "c", joiner: "a", giver: "b" };

    #[test]
    fn secrets_open_for_the_joiner_in_the_same_exchange_only() {
        let others = [
            Exchange { exporter: &[2; 32], ..EXCHANGE },
            Exchange { cluster_id: "d", ..EXCHANGE },
            Exchange { joiner: "x", ..EXCHANGE },
            Exchange { giver: "x", ..EXCHANGE },
        ];
        let attempts = [(EXCHANGE, true)].into_iter().chain(others.map(|other| (other, false)));
        for (exchange, opens) in attempts {
            let (joiner, giver) = (Ephemeral::generate().unwrap(), Ephemeral::generate().unwrap());
            let (joiner_public, giver_public) = (joiner.public.clone(), giver.public.clone());
            let wrapped = EXCHANGE.wrap(giver, &joiner_public, b"secrets").unwrap();
            let opened = exchange.unwrap(joiner, &giver_public, &wrapped);
            assert_eq!(opened.is_ok_and(|content| content[..] == *b"secrets"), opens);
        }
        let (stranger, giver) = (Ephemeral::generate().unwrap(), Ephemeral::generate().unwrap());
        let giver_public = giver.public.clone();
        let wrapped = EXCHANGE.wrap(giver, &Ephemeral::generate().unwrap().public, b"secrets").unwrap();
        assert!(EXCHANGE.unwrap(stranger, &giver_public, &wrapped).is_err());
    }

    #[test]
    fn bytes_that_are_no_point_are_refused() {
        for theirs in [vec![], vec![4; 65], vec![0; 65]] {
            let own = Ephemeral::generate().unwrap();
            assert_eq!(EXCHANGE.wrap(own, &theirs, b"").err(), Some(ReturnCode::InvalidArgument));
        }
    }
}
