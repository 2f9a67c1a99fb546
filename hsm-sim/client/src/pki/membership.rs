//! What the operator CA states about membership: which HSM a volume is, and who its peers are (D18).

use super::{CertificateAuthority, PkiError};
use hsm_protocol::message::{Assignment, Roster, RosterMember};
use hsm_protocol::signing;
use prost::Message;
use rcgen::SigningKey;

/// A statement exactly as it was signed, and the operator CA's signature over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// The encoded message.
    pub body: Vec<u8>,
    /// ECDSA P-256 with SHA-256, ASN.1, over the domain-separated body (`hsm_protocol::signing`).
    pub signature: Vec<u8>,
}

/// One HSM as the others know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `hsm-…`
    pub hsm_id: String,
    /// Zone the operator read from the node.
    pub availability_zone: String,
    /// SHA-256 of the identity key made on the HSM's volume.
    pub identity_fingerprint: [u8; 32],
    /// `host:port` of the peer listener: a DNS name, or an address where there is none.
    pub peer_address: String,
}

/// The bytes of a roster, as [`CertificateAuthority::sign_roster`] signs them: their SHA-256 tells whether an HSM has it.
pub fn roster_body(cluster_id: &str, version: u64, members: &[Member]) -> Vec<u8> {
    let members = members
        .iter()
        .map(|member| RosterMember {
            hsm_id: member.hsm_id.clone(),
            availability_zone: member.availability_zone.clone(),
            identity_spki_sha256: member.identity_fingerprint.to_vec(),
            address: member.peer_address.clone(),
        })
        .collect();
    Roster { cluster_id: cluster_id.to_owned(), version, members }.encode_to_vec()
}

impl CertificateAuthority {
    /// Signs that the volume with this identity key, in the pod `pod_name`, is this member of the cluster.
    ///
    /// # Errors
    /// [`PkiError::Library`] when this authority's key cannot sign.
    pub fn sign_assignment(
        &self,
        cluster_id: &str,
        pod_name: &str,
        member: &Member,
    ) -> Result<SignedStatement, PkiError> {
        let body = Assignment {
            cluster_id: cluster_id.to_owned(),
            hsm_id: member.hsm_id.clone(),
            availability_zone: member.availability_zone.clone(),
            identity_spki_sha256: member.identity_fingerprint.to_vec(),
            pod_name: pod_name.to_owned(),
        }
        .encode_to_vec();
        let signature = self.sign(&signing::assignment(&body))?;
        Ok(SignedStatement { body, signature })
    }

    /// Signs who belongs to the cluster; HSMs take a roster only if its `version` is above the one they have.
    ///
    /// # Errors
    /// [`PkiError::Library`] when this authority's key cannot sign.
    pub fn sign_roster(&self, cluster_id: &str, version: u64, members: &[Member]) -> Result<SignedStatement, PkiError> {
        let body = roster_body(cluster_id, version, members);
        let signature = self.sign(&signing::roster(&body))?;
        Ok(SignedStatement { body, signature })
    }

    fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, PkiError> {
        self.key.sign(statement).map_err(PkiError::library("sign a membership statement"))
    }
}
