//! Records as they are stored: protobuf inside the seal, so that a later version can add fields.
//!
//! Security: rows that hold a secret wipe themselves when dropped and have no `Debug`.

use prost::Message;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::store::committer::Change;
use crate::store::record::{RecordKind, RecordName};

/// Keys that make this volume this HSM.
#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
pub(crate) struct IdentityRow {
    /// Identity key, PKCS #8.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) identity_key: Vec<u8>,
    /// Its self-signed certificate.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) identity_certificate: Vec<u8>,
    /// Host key of the outer TLS layer, PKCS #8.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) host_key: Vec<u8>,
    /// Its self-signed certificate.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) host_certificate: Vec<u8>,
}

/// What the operator signed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MembershipRow {
    /// Encoded `Assignment`.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) assignment: Vec<u8>,
    /// Encoded `Roster`.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) roster: Vec<u8>,
}

/// Secrets that every HSM of the cluster shares, and how far this one is.
#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
pub(crate) struct ClusterRow {
    /// Cluster key, PKCS #8; made with the CSR.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) cluster_key: Vec<u8>,
    /// Cluster certificate, DER; empty until initialised.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) cluster_certificate: Vec<u8>,
    /// Customer CA, DER; empty until initialised.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) trust_anchor: Vec<u8>,
    /// Key under which keys travel between HSMs.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) masking_key: Vec<u8>,
    /// `HsmState` on the wire.
    #[prost(int32, tag = "5")]
    pub(crate) state: i32,
}

/// One user.
#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
pub(crate) struct UserRow {
    /// Lower-case name.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// `UserType` on the wire.
    #[prost(int32, tag = "2")]
    pub(crate) user_type: i32,
    /// Version of the credential.
    #[prost(uint64, tag = "3")]
    pub(crate) epoch: u64,
    /// Salt of the verifier.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) salt: Vec<u8>,
    /// PBKDF2 output.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) verifier: Vec<u8>,
    /// PBKDF2 iterations.
    #[prost(uint32, tag = "6")]
    pub(crate) iterations: u32,
    /// Operation that wrote this row.
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) last_op_id: Vec<u8>,
    /// Slot of the login counter.
    #[prost(uint32, tag = "8")]
    pub(crate) slot: u32,
}

/// One key.
#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
pub(crate) struct KeyRow {
    /// Everything that is the same on every HSM, encoded `MaskedKeyContent`.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) content: Vec<u8>,
    /// Number of the key on this HSM (HSM-60).
    #[prost(uint64, tag = "2")]
    pub(crate) handle: u64,
}

/// Fence and claim, and whether this HSM may serve at all.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ControlRow {
    /// Highest fence handed out.
    #[prost(uint64, tag = "1")]
    pub(crate) fence: u64,
    /// To whom.
    #[prost(string, tag = "2")]
    pub(crate) fence_holder: String,
    /// Holder of the cluster, empty if none.
    #[prost(string, tag = "3")]
    pub(crate) claim_holder: String,
    /// This volume is a copy that was put back, and it served before that was found: it never does again (INV-59).
    #[prost(bool, tag = "4")]
    pub(crate) went_back: bool,
}

/// Writes a row.
pub(crate) fn put(kind: RecordKind, id: &[u8], row: &impl Message) -> Change {
    Change::Put(RecordName::new(kind, id), Zeroizing::new(row.encode_to_vec()))
}
