//! What this HSM belongs to: assignment, roster, and the secrets that all HSMs of the cluster share.

use std::sync::Arc;

use hsm_protocol::message::{Assignment, HsmState, Roster, RosterMember};
use prost::Message;
use rustls::ServerConfig;
use zeroize::Zeroizing;

use crate::store::record::Place;
use crate::tls::certificate::sha256;
use crate::tls::{TlsError, client_port};
use crate::vault::masking::Masking;
use crate::vault::rows::{ClusterRow, IdentityRow, MembershipRow};

/// Secrets of the cluster and what is made of them. Secret inside: no `Debug`.
pub(crate) struct Cluster {
    row: ClusterRow,
    /// SHA-256 of the cluster certificate (HSM-26).
    pub(crate) lineage: [u8; 32],
    /// Seals keys for other HSMs.
    pub(crate) masking: Masking,
    /// Outer TLS layer of port 2223.
    pub(crate) outer: Arc<ServerConfig>,
    /// Inner TLS layer.
    pub(crate) inner: Arc<ServerConfig>,
}

impl Cluster {
    /// Builds everything from a stored row.
    ///
    /// # Errors
    /// [`TlsError`] if keys or certificates cannot be used.
    pub(crate) fn from_row(row: ClusterRow, identity: &IdentityRow) -> Result<Self, TlsError> {
        let lineage = sha256(&row.cluster_certificate);
        let masking_key = row.masking_key.as_slice().try_into().map_err(|_| TlsError::Malformed("the masking key"))?;
        Ok(Self {
            lineage,
            masking: Masking::new(Zeroizing::new(masking_key), lineage),
            outer: client_port::outer(&identity.host_key, &identity.host_certificate, &row.trust_anchor)?,
            inner: client_port::inner(&row.cluster_key, &row.cluster_certificate)?,
            row,
        })
    }

    /// The stored row.
    pub(crate) fn row(&self) -> &ClusterRow {
        &self.row
    }
}

/// The present membership; replaced as a whole.
#[derive(Clone)]
pub(crate) struct Membership {
    /// As stored.
    pub(crate) row: MembershipRow,
    /// Cluster, HSM id, zone; signed by the operator.
    pub(crate) assignment: Option<Assignment>,
    /// Peers; signed by the operator.
    pub(crate) roster: Option<Roster>,
    /// Key behind the CSR, before there is a cluster (PKCS #8).
    pub(crate) pending_key: Option<Arc<Zeroizing<Vec<u8>>>>,
    /// Once initialised or joined.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// Life of the volume.
    pub(crate) state: HsmState,
}

impl Membership {
    /// The membership of stored rows; `None` if the operator's statements cannot be read.
    pub(crate) fn of(row: MembershipRow) -> Option<Self> {
        let assignment = decode::<Assignment>(&row.assignment)?;
        let roster = decode::<Roster>(&row.roster)?;
        let state = if assignment.is_some() { HsmState::Assigned } else { HsmState::Blank };
        Some(Self { row, assignment, roster, pending_key: None, cluster: None, state })
    }

    /// Where records are bound to.
    pub(crate) fn place(&self, volume_id: [u8; 16]) -> Place {
        let member = self.assignment.as_ref().map(|a| (a.cluster_id.clone(), a.hsm_id.clone()));
        Place { volume_id, member, lineage: self.cluster.as_ref().map(|cluster| cluster.lineage) }
    }

    /// This HSM's id, empty before it is assigned.
    pub(crate) fn hsm_id(&self) -> &str {
        self.assignment.as_ref().map_or("", |assignment| &assignment.hsm_id)
    }

    /// The cluster's id, empty before it is assigned.
    pub(crate) fn cluster_id(&self) -> &str {
        self.assignment.as_ref().map_or("", |assignment| &assignment.cluster_id)
    }

    /// The zone, empty before it is assigned.
    pub(crate) fn availability_zone(&self) -> &str {
        self.assignment.as_ref().map_or("", |assignment| &assignment.availability_zone)
    }

    /// Roster members besides this HSM.
    pub(crate) fn peers(&self) -> Vec<RosterMember> {
        let members = self.roster.iter().flat_map(|roster| &roster.members);
        members.filter(|member| member.hsm_id != self.hsm_id()).cloned().collect()
    }

    /// The peer with this identity key.
    pub(crate) fn peer_by_identity(&self, spki_sha256: &[u8; 32]) -> Option<RosterMember> {
        self.peers().into_iter().find(|member| member.identity_spki_sha256 == spki_sha256)
    }
}

/// `Some(None)` for an absent statement, `None` for one that cannot be read.
fn decode<M: Message + Default>(bytes: &[u8]) -> Option<Option<M>> {
    if bytes.is_empty() { Some(None) } else { M::decode(bytes).ok().map(Some) }
}
