//! The ring of a store's cluster, and what its owner is told when its Secret was deleted (P1, last rows of its table).

use kube::runtime::events::EventType;
use operator_api::CustomKeyStore;

use super::error::StoreError;
use crate::{
    context::Context,
    report,
    ring::{self, Found, StoredRing},
};

/// The ring; `None` when it is gone for good. One that was put back is worth a warning: whoever deleted it may have meant it, and does not
/// know that nothing was achieved.
pub(super) async fn ring(
    context: &Context,
    store: &CustomKeyStore,
    cluster_id: &str,
) -> Result<Option<StoredRing>, StoreError> {
    match ring::read(context, cluster_id).await? {
        Found::Stored(ring) => Ok(Some(ring)),
        Found::Gone => Ok(None),
        Found::Restored(ring) => {
            let note = format!(
                "Secret {}/{} with kmsuser's passwords was deleted or replaced by an older one; the newest passwords were put back from memory. To change the password disconnect and connect",
                context.namespaces().vault,
                ring::name(cluster_id)
            );
            report::event(context, store, EventType::Warning, "RingRestored", &note).await;
            Ok(Some(ring))
        }
    }
}

/// The cure when the ring is gone for good (seed procedure), for a condition or an error message.
pub(super) const CURE: &str = "disconnect the store, have a crypto officer set a new password of kmsuser on every HSM (changePswd), put it into \
     keyStorePasswordSecretRef, connect";
