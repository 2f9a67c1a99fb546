//! The volume's header: what tells our volume from a damaged or a foreign one before anything is opened.

use std::path::Path;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::StoreError;
use super::sealing::VolumeKeys;
use super::volume::{VolumeOptions, new_identity};
use crate::seal::SealError;

const MAGIC: &[u8; 8] = b"KSHSMVOL";
const FORMAT: u32 = 1;

/// Content of the header file.
pub(super) struct Header {
    /// Random id of the volume.
    pub(super) volume_id: [u8; 16],
    share: Zeroizing<[u8; 32]>,
    pod_name: String,
}

impl Header {
    /// A new header with fresh id and share, and the keys that belong to it.
    ///
    /// # Errors
    /// [`SealError`] if the generator fails.
    pub(super) fn generate(options: &VolumeOptions) -> Result<(Self, VolumeKeys), SealError> {
        let (volume_id, share) = new_identity()?;
        let keys = VolumeKeys::derive(&options.secret_share, &share[..])?;
        Ok((Self { volume_id, share, pod_name: options.pod_name.clone() }, keys))
    }

    /// `magic 8 | format 4 | volume id 16 | share 32 | check 32 | pod name | SHA-256 of all of it`.
    pub(super) fn encode(&self, keys: &VolumeKeys) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(160 + self.pod_name.len()));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes.extend_from_slice(&self.volume_id);
        bytes.extend_from_slice(&self.share[..]);
        bytes.extend_from_slice(keys.check());
        bytes.extend_from_slice(self.pod_name.as_bytes());
        let digest = digest::digest(&digest::SHA256, &bytes);
        bytes.extend_from_slice(digest.as_ref());
        bytes
    }

    /// Reads the header and derives the keys.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the bytes are not a header; [`StoreError::Foreign`] if it is another pod's, another
    /// cluster's, or made by a newer version.
    pub(super) fn read(path: &Path, options: &VolumeOptions) -> Result<(Self, VolumeKeys), StoreError> {
        let bytes =
            Zeroizing::new(std::fs::read(path).map_err(|_| StoreError::damaged(path, "the header is missing"))?);
        let foreign = |what: String| StoreError::Foreign { path: path.to_owned(), what };
        let malformed = || StoreError::damaged(path, "the header is malformed");
        let (format, header, check) = parse(&bytes).ok_or_else(malformed)?;
        if format != FORMAT {
            return Err(foreign(format!("format {format}, and this program knows format {FORMAT} only")));
        }
        if header.pod_name != options.pod_name {
            return Err(foreign(format!("it belongs to pod {} and this is {}", header.pod_name, options.pod_name)));
        }
        let keys = VolumeKeys::derive(&options.secret_share, &header.share[..]).map_err(|_| malformed())?;
        if *keys.check() != check {
            return Err(foreign("the sealing share is not the one it was made with".into()));
        }
        Ok((header, keys))
    }
}

fn parse(bytes: &[u8]) -> Option<(u32, Header, [u8; 32])> {
    let (content, expected) = bytes.split_last_chunk::<32>()?;
    let digest = digest::digest(&digest::SHA256, content);
    (digest.as_ref() == expected).then_some(())?;
    let rest = content.strip_prefix(MAGIC)?;
    let (format, rest) = rest.split_first_chunk::<4>()?;
    let (volume_id, rest) = rest.split_first_chunk::<16>()?;
    let (share, rest) = rest.split_first_chunk::<32>()?;
    let (check, pod_name) = rest.split_first_chunk::<32>()?;
    let pod_name = String::from_utf8(pod_name.to_vec()).ok()?;
    let header = Header { volume_id: *volume_id, share: Zeroizing::new(*share), pod_name };
    Some((u32::from_be_bytes(*format), header, *check))
}
