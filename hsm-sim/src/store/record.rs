//! What a record is called, and the bytes that bind it to its place.

/// Kind of a record: its first key byte. Numbers are on disk and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum RecordKind {
    /// Store sequence and inventory.
    Meta = 1,
    /// Identity key and host key of this volume.
    Identity = 2,
    /// Signed assignment and signed roster.
    Membership = 3,
    /// Cluster key, certificates, masking key, state.
    Cluster = 4,
    /// One user.
    User = 5,
    /// One key.
    Key = 6,
    /// A second fingerprint under an existing key id (INV-06).
    Conflict = 7,
    /// Fence and claim.
    Control = 8,
    /// Delegates and dropped generations of one store.
    Delegates = 9,
}

impl RecordKind {
    const ALL: [Self; 9] = [
        Self::Meta,
        Self::Identity,
        Self::Membership,
        Self::Cluster,
        Self::User,
        Self::Key,
        Self::Conflict,
        Self::Control,
        Self::Delegates,
    ];

    /// Whether the record exists only inside a cluster and is bound to it. The others exist before there is one.
    fn is_bound_to_cluster(self) -> bool {
        !matches!(self, Self::Meta | Self::Identity | Self::Membership | Self::Cluster)
    }
}

/// Name of a record: kind and id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RecordName {
    /// The kind.
    pub(crate) kind: RecordKind,
    /// Id within the kind.
    pub(crate) id: Vec<u8>,
}

impl RecordName {
    /// A record's name.
    pub(crate) fn new(kind: RecordKind, id: impl Into<Vec<u8>>) -> Self {
        Self { kind, id: id.into() }
    }

    /// The only record of its kind.
    pub(crate) fn only(kind: RecordKind) -> Self {
        Self { kind, id: Vec::new() }
    }

    /// Key in the database.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&[self.kind as u8], &self.id[..]].concat()
    }

    /// Reads a database key; `None` if the kind is unknown.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, id) = bytes.split_first()?;
        let kind = RecordKind::ALL.into_iter().find(|known| *known as u8 == *kind)?;
        Some(Self { kind, id: id.to_vec() })
    }
}

/// Where this volume stands: part of every record's binding.
#[derive(Clone, Default)]
pub(crate) struct Place {
    /// Random id of the volume.
    pub(crate) volume_id: [u8; 16],
    /// `(cluster id, HSM id)` once assigned.
    pub(crate) member: Option<(String, String)>,
    /// SHA-256 of the cluster certificate once there is one (lineage, HSM-26).
    pub(crate) lineage: Option<[u8; 32]>,
}

/// Additional authenticated data of one record (INV-58): volume, cluster, HSM, lineage, kind, id, version.
pub(crate) fn binding(place: &Place, name: &RecordName, version: u64) -> Vec<u8> {
    let (cluster, hsm) = place.member.as_ref().map_or(("", ""), |(cluster, hsm)| (cluster.as_str(), hsm.as_str()));
    let lineage = place.lineage.as_ref().map_or(&[][..], |lineage| &lineage[..]);
    let within_cluster: [&[u8]; 3] =
        if name.kind.is_bound_to_cluster() { [cluster.as_bytes(), hsm.as_bytes(), lineage] } else { [&[], &[], &[]] };
    let mut bytes = b"keystores record v1\0".to_vec();
    for field in [&place.volume_id[..]].into_iter().chain(within_cluster).chain([&name.encode()[..]]) {
        bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes
}
