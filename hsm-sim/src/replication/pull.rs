//! Pulls the keys, and newer attributes, that a peer has and this HSM lacks.

use std::collections::{BTreeMap, BTreeSet};

use hsm_protocol::KeyId;
use hsm_protocol::limits::{MAX_PAGE, MAX_PULL};
use hsm_protocol::message::{KeyDigest, KeyDigestsRequest, PullKeysRequest};

use super::asking::{PeerConnection, PeerError};
use crate::hsm::Hsm;
use crate::vault::keys::Inserted;

/// Pages read at most: 10 million keys. A peer cannot make this HSM read for ever.
const MAX_PAGES: usize = 10_000;

/// Result of one comparison.
pub(crate) struct Compared {
    /// Keys or attributes taken over.
    pub(crate) pulled: u64,
    /// Keys that the peer lacks.
    pub(crate) lacking_there: BTreeSet<KeyId>,
}

/// Compares all digests with the peer and pulls what is missing or older here.
///
/// # Errors
/// [`PeerError`]; everything inserted so far stays.
pub(crate) async fn missing_keys(hsm: &Hsm, connection: &mut PeerConnection) -> Result<Compared, PeerError> {
    let theirs = digests(connection).await?;
    let wanted: Vec<KeyId> =
        theirs.iter().filter(|(id, digest)| is_wanted(hsm, id, digest)).map(|(id, _)| *id).collect();
    let mut pulled = 0;
    for ids in wanted.chunks(MAX_PULL) {
        let key_ids = ids.iter().map(|id| id.0.to_vec()).collect();
        let reply = connection.call(&PullKeysRequest { key_ids }).await?;
        let masking = hsm.cluster()?;
        for masked in &reply.masked {
            let key = masking.masking.unmask(masked)?;
            let id = key.id;
            if hsm.keys.insert(&hsm.store, key).await?.0 == Inserted::Conflict {
                tracing::error!(key_id = %id, peer = connection.hsm_id, "two different materials for one key id");
            }
            pulled += 1;
        }
    }
    let (ours, _) = hsm.keys.digests(None, usize::MAX);
    let ours = ours.iter().filter_map(|digest| KeyId::try_from(&digest.key_id[..]).ok());
    Ok(Compared { pulled, lacking_there: ours.filter(|id| !theirs.contains_key(id)).collect() })
}

/// Missing here, or newer there. Other material under the same id is pulled once, to be kept as a conflict (INV-06).
fn is_wanted(hsm: &Hsm, id: &KeyId, digest: &KeyDigest) -> bool {
    let Some((key, conflict)) = hsm.keys.find(id) else { return true };
    let differs = digest.fingerprint != key.fingerprint && !conflict;
    differs || (digest.fingerprint == key.fingerprint && digest.attribute_version > key.attribute_version)
}

async fn digests(connection: &mut PeerConnection) -> Result<BTreeMap<KeyId, KeyDigest>, PeerError> {
    let mut all = BTreeMap::new();
    let mut after = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = connection.call(&KeyDigestsRequest { after: after.clone(), limit: MAX_PAGE }).await?;
        for digest in page.digests {
            let id = KeyId::try_from(&digest.key_id[..]).map_err(|_| PeerError::Protocol)?;
            after.clone_from(&digest.key_id);
            all.insert(id, digest);
        }
        if !page.truncated {
            return Ok(all);
        }
    }
    Err(PeerError::Protocol)
}
